// The page of one task: asks story.json for it while it is in flight, and draws its attempts. It only reads. All text
// from the answers goes in by textContent.
'use strict';

const name_of_task = decodeURIComponent(location.pathname.slice(location.pathname.lastIndexOf('/') + 1));

/* When what happened to an attempt, in microseconds since 1970. */
function times_of(attempt) {
  const work = attempt.work || {};
  return {
    sent: attempt.sent_us, called_home: attempt.called_home_us, heard: attempt.ended_us,
    began: work.began_us, stop: work.stop_us, ended: isNumber(work.ended_us) ? work.ended_us : attempt.ended_us,
  };
}

const is_open = (attempt) => !attempt.end;
const say_end = (attempt) => (attempt.moved ? 'moved' : attempt.end || 'in flight');

function level_of(attempt) {
  if (attempt.end === 'won') return 'well';
  return ['failed', 'expired', 'lost'].includes(attempt.end) ? 'bad' : 'plain';
}

/* From its acceptance to the last that is known of it. */
function scale_of(story) {
  const task = story.task;
  const from = task.accepted_us;
  let to = isNumber(task.settled_us) ? task.settled_us : story.now_us;
  for (const attempt of list(task.attempts)) {
    const { ended } = times_of(attempt);
    to = Math.max(to, isNumber(ended) ? ended : story.now_us);
  }
  const length = Math.max(1, to - from);
  return { from, to, length, percent: (at) => Math.min(100, Math.max(0, (100 * (at - from)) / length)) };
}

// ---- the head ---------------------------------------------------------------------------------------------------

function sentence(story) {
  const task = story.task;
  const since = (at) => micros(at - task.accepted_us);
  if (task.state === 'open') {
    const left = isNumber(task.deadline_us) ? `, ${micros(task.deadline_us - story.now_us)} left` : '';
    return `In flight for ${since(story.now_us)}${left}.`;
  }
  const won = list(task.attempts).find((attempt) => attempt.end === 'won');
  const at = isNumber(task.decided_us) ? task.decided_us : task.settled_us;
  const by = won ? `, by ${won.hedge ? 'a hedge' : `its attempt ${won.attempt}`} at ${words(won.worker)}` : '';
  const why = task.error ? `: ${task.error}` : '';
  return `${task.outcome === 'completed' ? 'Completed' : `It ${{ failed: 'failed', expired: 'expired', cancelled: 'was cancelled' }[task.outcome]}`} after ${since(at)}${by}${why}.`;
}

function show_head(story) {
  const task = story.task;
  const own = String(task.id).endsWith(`-${task.seq}`);
  say(byId('task'), own ? `task ${task.seq}` : `task ${task.seq} (${task.id})`);
  document.title = `task ${task.seq} \u2013 curfew`;
  say(byId('state'), sentence(story));
  mark(document.body, 'data-level', task.outcome ? (task.outcome === 'completed' ? 'well' : 'bad') : 'wait');
}

// ---- the line ---------------------------------------------------------------------------------------------------

function lane_of(attempt, scale, story) {
  const lane = make('div', { class: 'lane' });
  const times = times_of(attempt);
  const end = isNumber(times.ended) ? times.ended : story.now_us;
  const paint = (from, to, what, title) => {
    if (!isNumber(from)) return;
    const left = scale.percent(from);
    lane.append(make('i', { class: what, title, style: `left:${left}%;width:${Math.max(0, scale.percent(to) - left)}%` }));
  };
  const stop = isNumber(times.stop) ? times.stop : times.called_home;
  const stopped = isNumber(stop) && stop < end;
  const known = isNumber(times.began);
  const never = !known && attempt.work === null && attempt.end === 'cancelled';
  paint(times.sent, known ? times.began : end, known || never ? 'waits' : 'unknown', 'waits');
  if (known) paint(times.began, stopped ? stop : end, attempt.end === 'won' ? 'won' : 'works', 'works');
  if (stopped) paint(stop, end, 'stops', 'called home');
  if (isNumber(story.task.decided_us)) lane.append(make('u', { style: `left:${scale.percent(story.task.decided_us)}%`, title: 'decided' }));
  return lane;
}

function axis_of(scale) {
  const axis = make('div', { class: 'axis' });
  for (const part of [0, 0.25, 0.5, 0.75, 1])
    axis.append(make('span', { style: `left:${100 * part}%` }, part === 0 ? '0' : micros(part * scale.length)));
  return axis;
}

function show_line(story) {
  const scale = scale_of(story);
  const rows = [];
  for (const attempt of list(story.task.attempts)) {
    const who = make('div', { class: 'who', title: words(attempt.worker) });
    who.append(make('b', {}, words(attempt.worker)), make('small', {}, ` ${attempt.attempt}${attempt.hedge ? ' hedge' : ''}`));
    rows.push(who, make('div', { class: 'end', 'data-level': level_of(attempt) }, say_end(attempt)), lane_of(attempt, scale, story));
  }
  rows.push(axis_of(scale));
  byId('line').replaceChildren(...rows);
  const left_out = story.task.left_out;
  say(byId('left-out'), left_out > 0 ? `${many(left_out, 'more attempt')} of it ${left_out === 1 ? 'is' : 'are'} not told.` : '');
}

// ---- the table --------------------------------------------------------------------------------------------------

const COLUMNS = ['attempt', 'worker', 'pool', 'sent', 'began', 'called home', 'ended', 'heard', 'end', 'error'];
const WORDS = new Set(['worker', 'pool', 'end', 'error']);

function row_of(attempt, story) {
  const times = times_of(attempt);
  const since = (at) => (isNumber(at) ? micros(at - story.task.accepted_us) : NONE);
  const row = make('tr');
  const cells = [`${attempt.attempt}${attempt.hedge ? ' hedge' : ''}`, words(attempt.worker), words(attempt.pool), since(times.sent),
    since(times.began), since(times.called_home), since((attempt.work || {}).ended_us), since(times.heard), say_end(attempt), words(attempt.error)];
  cells.forEach((text, i) => row.append(make('td', WORDS.has(COLUMNS[i]) ? { class: 'words' } : {}, text)));
  return row;
}

function show_times(story) {
  const heads = make('tr');
  for (const column of COLUMNS) heads.append(make('th', WORDS.has(column) ? { class: 'words' } : {}, column));
  document.querySelector('#times thead').replaceChildren(heads);
  document.querySelector('#times tbody').replaceChildren(...list(story.task.attempts).map((attempt) => row_of(attempt, story)));
}

// ---- asking -----------------------------------------------------------------------------------------------------

function show(story) {
  document.querySelector('main').hidden = false;
  show_head(story);
  show_line(story);
  show_times(story);
}

async function ask() {
  let again = 2000;
  try {
    const answer = await fetch(`../story.json?task=${encodeURIComponent(name_of_task)}`, { cache: 'no-store' });
    const said = await answer.json();
    if (answer.ok) {
      show(said);
      const whole = said.task.state === 'settled' && !list(said.task.attempts).some(is_open);
      again = whole ? 0 : 1000;
    } else {
      say(byId('state'), said.error);
      mark(document.body, 'data-level', 'warn');
    }
  } catch {
    say(byId('state'), 'The monitor does not answer.');
    mark(document.body, 'data-level', 'warn');
  }
  if (again > 0) setTimeout(ask, again);
}

byId('other').addEventListener('submit', (event) => {
  event.preventDefault();
  const task = event.target.elements.task.value.trim();
  if (task) location.assign(encodeURIComponent(task));
});
say(byId('task'), `task ${name_of_task}`);
ask();
