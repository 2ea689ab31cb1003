// Whether the group is well, its books, and the queue that it takes from.
'use strict';

const LAWS = {
  tasks: { first: 'accepted', parts: ['completed', 'failed', 'expired', 'cancelled', 'in_flight'] },
  attempts: { first: 'started', parts: ['won', 'late', 'cancelled', 'failed', 'expired', 'lost', 'in_flight'] },
};

// true, false, or null where a number is missing
function holds(noun) {
  const books = known.broker && known.broker[noun];
  const law = LAWS[noun];
  if (!books || ![law.first, ...law.parts].every((part) => isNumber(books[part]))) return null;
  return books[law.first] === law.parts.reduce((sum, part) => sum + books[part], 0);
}

// All outcomes are written, and attempts that do not stop keep the group: what `check` says of it, null where it is well.
function stuck_at_the_end(broker) {
  const attempts = (broker.attempts || {}).in_flight;
  const graces = known.processes.map((process) => process.grace_s).filter(isNumber);
  const most = (graces.length ? Math.max(...graces) : 1) + 2;  // and the time of a kill
  if (!isNumber(broker.settled_for_s) || !(attempts > 0) || broker.settled_for_s <= most) return null;
  return `Waiting for ${many(attempts, 'attempt')} in flight, for ${seconds(broker.settled_for_s)}: all outcomes are written.`;
}

// The source of the broker where it is a queue, else null.
function queue_of(broker) {
  const source = (broker || {}).source || {};
  return typeof source.queue === 'string' ? source : null;
}

// What `check` says of the ends: a queue that is not connected, a sink that waits. What is short is passed over.
function troubles_of_ends(queue) {
  const troubles = [];
  if (queue && queue.lost_for_s > 5) {
    troubles.push(`The queue ${queue.queue} is not connected for ${seconds(queue.lost_for_s)}${queue.trouble ? ` (${queue.trouble})` : ''}.`);
  }
  const sink = (known.collector_here && known.collector.sink) || {};
  if (sink.waits_for && sink.waited_s >= 1) {
    troubles.push(`The sink waits for ${sink.waits_for}, for ${seconds(sink.waited_s)}: ${many(sink.waiting || 0, 'outcome')}.`);
  }
  return troubles;
}

// Where work fails: null where little does, or too little has ended to tell.
function many_failures() {
  if (known.ends.length < 2) return null;
  const [first, last] = [known.ends[0], known.ends[known.ends.length - 1]];
  const [all, failed] = [last.all - first.all, last.failed - first.failed];
  if (all < 10 || failed <= all / 10) return null;
  return `${count(failed)} of ${many(all, 'attempt')} that ended in the last ${seconds(Math.round(last.time - first.time))} failed.`;
}

function judge_ended(signs) {
  const at = new Date(known.ended * 1000).toLocaleTimeString('en-GB');
  const ended = `The group ended at ${at}: these are its last figures.`;
  const off = holds('tasks') === false || holds('attempts') === false;
  return { level: off ? 'bad' : 'ended', words: off ? `${ended} The books do not balance.` : ended, signs };
}

function judge() {
  const signs = { books: null, collector: null, workers: null, queue: null };
  if (!stats.answered && !stats.trouble) return { level: 'wait', words: 'Asking the monitor.', signs };
  const kept = stats.answered ? ' Below, in grey, is what was last known.' : '';
  if (stats.trouble) {
    const what = stats.trouble.status === 503
      ? `No process of the group answers (${stats.trouble.words}).`
      : `The monitor does not answer (${stats.trouble.words}).`;
    return { level: 'bad', words: what + kept, signs };
  }

  if (known.ended !== null) return judge_ended(signs);

  const bad = [];
  const warn = [];
  const notes = [];
  const broker = known.broker_here ? known.broker : null;
  if (!broker) bad.push(`The broker is gone.${known.broker ? kept : ''}`);
  if (broker) {
    const balanced = broker.balanced !== false && holds('tasks') !== false && holds('attempts') !== false;
    signs.books = balanced ? ['well', 'Books balanced'] : ['bad', 'Books do not balance'];
    if (!balanced) bad.push('The books do not balance.');
    if (broker.paused) notes.push('It is paused: nothing new is taken until it is told to resume.');
    if (broker.draining) notes.push('It is draining: nothing new is taken.');
    else if (broker.stopping) notes.push('It is stopping.');
    else if (broker.source && broker.source.ended) notes.push('The source has ended.');
  }

  const stuck = broker && stuck_at_the_end(broker);
  if (stuck) warn.push(stuck);
  const failures = broker && many_failures();
  if (failures) warn.push(failures);
  const queue = queue_of(broker);
  if (queue) signs.queue = isNumber(queue.lost_for_s) ? ['warn', 'Queue not connected'] : ['well', 'Queue connected'];
  warn.push(...troubles_of_ends(queue));

  const synced = broker && broker.collector ? broker.collector.synced : ((known.collector || {}).broker || {}).synced;
  if (!known.collector_here) {
    signs.collector = ['bad', 'Collector gone'];
    bad.push('The collector is gone.');
  } else if (synced === false) {
    signs.collector = ['warn', 'Collector not synced'];
    warn.push('The collector is not synced with the broker.');
  } else if (synced === true) {
    signs.collector = ['well', 'Collector synced'];
  }

  const gone = known.rows.filter((row) => row.state === 'gone').length;
  if (broker) {
    const ready = known.rows.filter((row) => row.state === 'ready').length;
    signs.workers = [ready === 0 || ready < known.rows.length ? 'warn' : 'well', `${ready} of ${many(known.rows.length, 'worker')} ready`];
    if (ready === 0) warn.push('No worker is ready.');
    const out = list(broker.workers).reduce((sum, worker) =>
      sum + (isNumber(worker.slots_in_service) && isNumber(worker.slots) ? worker.slots - worker.slots_in_service : 0), 0);
    if (out > 0) warn.push(`${many(out, 'slot')} out of service.`);
  }
  if (gone > 0) warn.push(`${many(gone, 'worker')} gone.`);
  if (known.unmoved >= 5) warn.push('The figures do not move.');

  const level = bad.length ? 'bad' : warn.length ? 'warn' : 'well';
  return { level, words: [...({ well: ['The group is well.'], warn: ['Needs a look.'] }[level] || []), ...bad, ...warn, ...notes].join(' '), signs };
}

function show_header() {
  const verdict = judge();
  mark(document.body, 'data-level', verdict.level);
  say(byId('state'), verdict.words);
  for (const [name, sign] of Object.entries(verdict.signs)) {
    const element = byId(`${name}-sign`);
    mark(element, 'data-level', sign && sign[0]);
    say(element, sign ? sign[1] : '');
  }
  say(byId('group'), known.group);
  const state = { well: 'well', warn: 'look', bad: 'trouble', wait: 'asking', ended: 'ended' }[verdict.level];
  const title = `${known.group || 'curfew'}: ${state}${known.group ? ' (curfew)' : ''}`;
  if (document.title !== title) document.title = title;
}

// Apart from the state line, so that a reader is not told each second.
function show_age() {
  if (known.fresh_at === null) return;
  const age = Math.max(0, Math.round((Date.now() - known.fresh_at) / 1000));
  const at = new Date(known.fresh_at).toLocaleTimeString('en-GB');
  say(byId('age'), age < 3 ? `as of ${at}` : `as of ${at}, ${age < 60 ? `${age} s` : seconds(age)} ago`);
}

function show_old() {
  const broker_old = Boolean(stats.trouble) || (stats.answered && !known.broker_here);
  const ended = known.ended !== null;
  const old = { stats: Boolean(stats.trouble) || ended, broker: broker_old, dump: Boolean(dump.trouble) || ended, history: Boolean(past.trouble) };
  for (const section of document.querySelectorAll('section[data-from]')) {
    mark(section, 'data-old', old[section.dataset.from] ? 'true' : null);
  }
  say(byId('dump-note'), dump.trouble ? `No news (${dump.trouble.words}).` : '');
  say(byId('history-note'), !window.Dygraph ? 'The chart library did not load.' : past.trouble ? `No news (${past.trouble.words}).` : '');
}

// ---- the books ----

function show_law(noun) {
  const element = byId(`${noun}-law`);
  const law = LAWS[noun];
  const books = (known.broker && known.broker[noun]) || {};
  if (!element.firstChild) {
    const term = (name, text) => {
      const bold = make('b', { 'data-term': name });
      bold.append(make('span'), `\u00a0${text}`);
      element.append(bold);
    };
    element.append(noun === 'tasks' ? 'Tasks: ' : 'Attempts: ');
    term(law.first, law.first);
    law.parts.forEach((part, i) => {
      element.append(i === 0 ? ' = ' : ' + ');
      term(part, part.replace('_', '\u00a0'));
    });
    element.append('. ', make('span', { class: 'verdict' }));
  }
  for (const bold of element.querySelectorAll('b')) {
    const value = books[bold.dataset.term];
    mark(bold, 'data-value', isNumber(value) ? value : null);
    say(bold.firstChild, count(value));
  }
  const well = holds(noun);
  mark(element, 'data-holds', well);
  say(element.querySelector('.verdict'), well === null ? '' : well ? 'This holds.' : 'This does not hold.');
}

function show_facts() {
  const broker = known.broker || {};
  const attempts = broker.attempt_time || {};
  const cancels = broker.cancel_time || {};
  const sink = (known.collector || {}).sink || {};
  const facts = [
    ['fanout', 'Fanout', count(broker.fanout)],
    ['window', 'Window', count(broker.window)],
    ['oldest-task', 'Oldest task', broker.oldest_task_s === null ? 'none' : seconds(broker.oldest_task_s)],
    ['oldest-attempt', 'Oldest attempt', broker.oldest_attempt_s === null ? 'none' : seconds(broker.oldest_attempt_s)],
    ['attempt-time', 'Attempt p50, p99', `${micros(attempts.p50_us)}, ${micros(attempts.p99_us)}`],
    ['cancel-time', 'Cancel p50, p99', `${micros(cancels.p50_us)}, ${micros(cancels.p99_us)}`],
    ['written', 'Written to the sink', bytes(sink.bytes)],
    ['turned-away', 'Workers died, silent, left', [broker.workers_died, broker.workers_silent, broker.workers_left].map(count).join(', ')],
    ['frames', 'Frames refused, malformed', [broker.refused_frames, broker.malformed_frames].map(count).join(', ')],
  ];
  show_list(byId('facts'), facts);
}

function show_queue() {
  const queue = queue_of(known.broker);
  byId('queue').hidden = !queue;
  if (!queue) return;
  const lost = isNumber(queue.lost_for_s);
  show_list(byId('queue-facts'), [
    ['queue', 'Queue', words(queue.queue)],
    ['connected', 'Connected to', lost ? `nobody for ${seconds(queue.lost_for_s)}` : words(queue.connected)],
    ['depth', lost ? 'Depth, as it was' : 'Depth', count(queue.depth)],
    ['unacked', 'Unacknowledged here', count(queue.unacked)],
    ['oldest-unacked', 'Oldest of them', queue.oldest_unacked_s === null ? 'none' : seconds(queue.oldest_unacked_s)],
    ['prefetch', 'Prefetch', count(queue.prefetch)],
    ['fetched', 'Fetched, not begun', count(queue.fetched)],
    ['redelivered', 'Redelivered', count(queue.redelivered)],
    ['again', 'Of these adopted, known', [queue.adopted, queue.known].map(count).join(', ')],
    ['losses', 'Connections lost', count(queue.connections_lost)],
  ]);
}

// Names and what they say, each made once.
function show_list(element, facts) {
  for (const [name, term, text] of facts) {
    let fact = element.querySelector(`[data-fact=${name}]`);
    if (!fact) {
      fact = make('div', { 'data-fact': name });
      fact.append(make('dt', {}, term), make('dd'));
      element.append(fact);
    }
    say(fact.firstChild, term);
    say(fact.lastChild, text.replace(/(\d) /g, '$1\u00a0'));   // no break between a number and its unit
  }
}
