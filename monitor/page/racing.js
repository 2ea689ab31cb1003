// What racing gives: how it goes, who wins, what fails. In the words of launch's summary and of `curfew-monitor stats`.
'use strict';

const MOST_BARS = 6;
const MOST_REASONS = 5;

// The last minute, or what there is of it: null before the second answer.
function lately() {
  if (known.ends.length < 2) return null;
  const [first, last] = [known.ends[0], known.ends[known.ends.length - 1]];
  const took = Math.round(last.time - first.time);
  return {
    words: took >= 59 ? 'the last minute' : `the last ${took} s`,
    all: last.all - first.all,
    failed: last.failed - first.failed,
    grown: (which, name) => Math.max(0, (last[which].get(name) || 0) - (first[which].get(name) || 0)),
  };
}

const sum = (numbers) => numbers.reduce((all, n) => all + n, 0);
const sentence = (parts) => parts.filter(Boolean).join(' ');

// ---- how it goes ----

function show_pace() {
  const tasks = (known.broker && known.broker.tasks) || {};
  const times = (known.broker && known.broker.task_time) || {};
  const time = (value) => (times.count > 0 ? micros(value) : NONE);
  const not_completed = sum([tasks.failed, tasks.expired, tasks.cancelled].filter(isNumber));
  show_list(byId('pace-facts'), [
    ['settled', 'Tasks settled', perSecond(known.rates.settled)],
    ['accepted', 'Accepted', perSecond(known.rates.accepted)],
    ['started', 'Attempts started', perSecond(known.rates.started)],
    ['completed', 'Completed', count(tasks.completed)],
    ['not-completed', 'Did not complete', isNumber(tasks.completed) ? count(not_completed) : NONE],
    ['in-flight', 'In flight', count(tasks.in_flight)],
  ]);
  mark(byId('pace-facts').querySelector('[data-fact=not-completed]'), 'data-level', not_completed > 0 ? 'warn' : null);
  show_list(byId('latency-facts'), [
    ['p50', 'p50', time(times.p50_us)],
    ['p99', 'p99', time(times.p99_us)],
    ['p999', 'p99.9', time(times.p999_us)],
  ]);
}

// ---- who wins ----

const all_ends = (one) => sum(LAWS.attempts.parts.filter((end) => end !== 'in_flight').map((end) => one[end] || 0));

// Pools, or where there is one, its workers.
function racers() {
  const pools = list(known.broker && known.broker.pools).filter((pool) => all_ends(pool) > 0);
  const racer = (which) => (one) => ({ which, key: which === 'won' ? one.name : one.key, name: words(one.name), won: one.won || 0, p99: one.p99 });
  if (pools.length > 1) return ['pool', pools.map((pool) => ({ ...pool, p99: (pool.won_time || {}).p99_us })).map(racer('won'))];
  const workers = known.rows.filter((row) => all_ends(row) > 0);
  return ['worker', workers.map((row) => ({ ...row, p99: (row.took || {}).p99_us })).map(racer('won_at'))];
}

function show_wins() {
  const [noun, all] = racers();
  const minute = lately();
  const of_minute = new Map(all.map((one) => [one.key, minute ? minute.grown(one.which, one.key) : 0]));
  const now = sum([...of_minute.values()]);
  const won = (one) => (now > 0 ? of_minute.get(one.key) : one.won);
  const total = now > 0 ? now : sum(all.map((one) => one.won));
  const rows = all.sort((a, b) => won(b) - won(a) || byName(a.name, b.name));
  say(byId('wins-note'), total === 0 ? 'Nothing has won yet.'
    : `Of ${many(total, 'win')} in ${now > 0 ? minute.words : 'all'}, by ${noun}.`);
  show_bars(byId('wins-bars'), rows.slice(0, MOST_BARS).map((one) => ({
    key: one.key, name: one.name, share: total > 0 ? won(one) / total : 0,
    more: `${count(one.won)} in all${one.won > 0 && isNumber(one.p99) ? `, p99 ${micros(one.p99)}` : ''}`,
  })));
  say(byId('wins-rest'), rows.length > MOST_BARS ? `And ${many(rows.length - MOST_BARS, noun)} more.` : '');
  say(byId('hedges'), hedges_words((known.broker && known.broker.hedges) || {}));
}

function hedges_words(hedges) {
  if (!(hedges.sent > 0) && !(hedges.withheld > 0)) return '';
  const saved = hedges.saved_us > 0 ? `, ${micros(hedges.saved_us)} saved at least` : '';
  const withheld = hedges.withheld > 0 ? `; ${count(hedges.withheld)} more were due, and there was no budget` : '';
  return `Hedges: ${count(hedges.sent)} sent, ${count(hedges.won)} won${saved}${withheld}.`;
}

// Each made once, in the order of `rows`.
function show_bars(element, rows) {
  const old = new Map([...element.children].map((line) => [line.dataset.key, line]));
  rows.forEach((row, i) => {
    let line = old.get(row.key);
    if (!line) {
      line = make('li', { 'data-key': row.key });
      const bar = make('span', { class: 'bar', 'aria-hidden': 'true' });
      bar.append(make('span'));
      line.append(make('span', { class: 'name' }), make('small'), bar, make('b'));
    }
    old.delete(row.key);
    const [name, more, bar, share] = line.children;
    say(name, row.name);
    mark(name, 'title', row.name);
    bar.firstChild.style.width = `${(row.share * 100).toFixed(1)}%`;
    say(share, `${Math.round(row.share * 100)}%`);
    say(more, row.more);
    if (element.children[i] !== line) element.insertBefore(line, element.children[i] || null);
  });
  for (const line of old.values()) line.remove();
}

// ---- what fails ----

function show_failures() {
  const broker = known.broker || {};
  const minute = lately();
  const grown = (failure) => (minute ? minute.grown('reasons', failure.reason) : 0);
  const failures = list(broker.failures).filter((failure) => failure && failure.count > 0);
  const rows = failures.map((failure) => ({ failure, now: grown(failure) })).sort((a, b) => (b.now > 0) - (a.now > 0));
  const fails = Boolean(minute && minute.failed > 0);
  mark(byId('failures'), 'data-level', fails ? 'warn' : null);
  const attempts = broker.attempts || {};
  const failed = sum(['failed', 'expired', 'lost'].map((end) => attempts[end] || 0));
  say(byId('failures-note'), sentence([
    failed === 0 && 'Nothing has failed.',
    fails && `${count(minute.failed)} of ${many(minute.all, 'attempt')} that ended in ${minute.words} failed.`,
    !fails && minute && failed > 0 && `None in ${minute.words}.`,
    failed > 0 && `In all ${count(failed)}.`,
  ]));
  show_reasons(byId('failures-list'), rows.slice(0, MOST_REASONS));
  say(byId('failures-rest'), rows.length > MOST_REASONS ? `And ${many(rows.length - MOST_REASONS, 'reason')} more.` : '');
}

// Of one that came once with its numbers.
function reason_of(failure) {
  const reason = words(failure.reason);
  return failure.count > 1 || !failure.error ? reason : `${reason.split(':')[0]}: ${failure.error}`;
}

function show_reasons(element, rows) {
  while (element.children.length > rows.length) element.lastChild.remove();
  while (element.children.length < rows.length) {
    const line = make('li');
    const more = make('small');
    more.append(make('span'), make('a'), make('span'));
    line.append(make('b'), make('span'), more);
    element.append(line);
  }
  rows.forEach(({ failure, now }, i) => {
    const line = element.children[i];
    const [times, reason, more] = line.children;
    mark(line, 'data-level', now > 0 ? 'warn' : null);
    say(times, `${failure.at_most_too_many > 0 ? 'about ' : ''}${count(failure.count)}`);
    say(reason, reason_of(failure));
    mark(reason, 'title', words(failure.error));
    const [grown, example, where] = more.children;
    say(grown, now > 0 ? `${count(now)} lately; ` : '');
    say(example, `message ${words(failure.seq)}`);
    mark(example, 'href', `task/${failure.seq}`);
    say(where, failure.worker ? ` at ${failure.worker}` : '');
  });
}

function show_racing() {
  show_pace();
  show_wins();
  show_failures();
}
