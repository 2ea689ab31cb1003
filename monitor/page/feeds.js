// What is known of the group, and the questions that keep it so.
'use strict';

const known = {
  group: '',           // what it is called
  time: null,          // the monitor's clock in its last stats
  fresh_at: null,      // our clock when that last moved
  unmoved: 0,          // answers since then
  ended: null,         // when the group ended: its last figures are shown; null: it has not
  processes: [],
  broker: null,        // the last it said, also after it is gone
  broker_here: false,
  collector: null,
  collector_here: false,
  roles: new Map(),    // by name: a process that is gone does not say its own
  rows: [],            // one for each worker session, see worker_rows()
  last_row: new Map(), // by worker name, for those that are gone
  before: null,        // the sample that rates are taken against
  ends_per_s: new Map(),
  rates: {},
  ends: [],            // of attempts, with who won and why they failed: a sample an answer, of the last minute
  dump: null,
};

function learn(stats) {
  known.unmoved = stats.time === known.time && known.fresh_at !== null ? known.unmoved + 1 : 0;
  if (known.unmoved === 0) known.fresh_at = Date.now();
  known.time = stats.time;
  known.group = typeof stats.group === 'string' ? stats.group : '';
  known.ended = isNumber(stats.ended) ? stats.ended : null;
  known.processes = list(known.ended === null ? stats.processes : stats.last).filter((process) => process && typeof process === 'object');
  for (const process of known.processes) if (process.role) known.roles.set(process.name, process.role);
  const here = (role) => known.processes.find((process) => process.role === role && !process.gone);
  const broker = here('broker');
  const collector = here('collector');
  known.broker_here = Boolean(broker) && known.ended === null;
  known.collector_here = Boolean(collector) && known.ended === null;
  known.broker = broker || known.broker;
  known.collector = collector || known.collector;
  known.rows = worker_rows();
  learn_rates(stats.time);
  learn_ends(stats.time);
}

function role_of(process) {
  const named = process.name === 'broker' || process.name === 'collector' ? process.name : 'worker';
  return process.role || known.roles.get(process.name) || named;
}

// The broker's sessions first; then workers it does not have: without a session, or gone.
function worker_rows() {
  const at = new Map();
  for (const process of known.processes) {
    const old = at.get(process.name);
    if (!old || old.gone) at.set(process.name, process);
  }
  const sessions = known.broker ? list(known.broker.workers) : [];
  const newest = new Map();
  for (const worker of sessions) newest.set(worker.name, Math.max(worker.session || 0, newest.get(worker.name) || 0));
  const rows = [];
  for (const worker of sessions) {
    const process = at.get(worker.name);
    const gone = Boolean(process && process.gone) && worker.session === (newest.get(worker.name) || worker.session);
    rows.push({ ...worker, key: `${worker.name}/${worker.session}`, state: gone ? 'gone' : worker.state });
  }
  for (const [name, process] of at) {
    if (newest.has(name)) continue;
    const last = known.last_row.get(name);
    if (role_of(process) !== 'worker') continue;
    if (process.gone) {
      rows.push({ ...last, name, key: `${name}/`, state: 'gone', in_flight: null, credit: null });
    } else {
      const held = Object.values(process.held || {}).reduce((sum, n) => sum + (isNumber(n) ? n : 0), 0);
      rows.push({
        name, key: `${name}/`, pool: process.pool, state: process.session === 0 ? 'no session' : known.broker_here ? 'unknown to the broker' : 'answers',
        slots: (process.slots || {}).all, credit: process.credit, in_flight: process.held ? held : null,
      });
    }
  }
  known.last_row = new Map(rows.map((row) => [row.name, row]));
  return rows;
}

// Those that were called home and stopped say nothing of the work: they are left out.
function learn_ends(time) {
  const attempts = (known.broker_here && known.broker.attempts) || null;
  const sum = (...ends) => ends.reduce((all, end) => all + (attempts[end] || 0), 0);
  const last = known.ends[known.ends.length - 1];
  if (last && (!attempts || last.incarnation !== known.broker.incarnation)) known.ends = [];
  if (!attempts || !isNumber(time) || (last && known.ends.length && time <= last.time)) return;
  const failed = sum('failed', 'expired', 'lost');
  const map = (all, key, value) => new Map(list(all).map((one) => [one[key], value(one)]));
  known.ends.push({
    time, incarnation: known.broker.incarnation, failed, all: failed + sum('won', 'late'),
    won: map(known.broker.pools, 'name', (pool) => pool.won || 0),
    won_at: map(known.rows, 'key', (row) => row.won || 0),
    reasons: map(known.broker.failures, 'reason', (failure) => failure.count - (failure.at_most_too_many || 0)),  // certain
  });
  while (known.ends[0].time < time - 60) known.ends.shift();
}

// Rates are the broker's where it gives them, else the difference to the sample before.
function learn_rates(time) {
  const broker = known.broker;
  if (known.ended !== null) return;
  if (!known.broker_here || !isNumber(time)) {
    known.before = null;
    known.ends_per_s = new Map();
    known.rates = {};
    return;
  }
  const tasks = broker.tasks || {};
  const ends = (row) => ['won', 'late', 'cancelled', 'failed', 'expired', 'lost'].reduce((sum, end) => sum + (row[end] || 0), 0);
  const sample = {
    time,
    incarnation: broker.incarnation,
    accepted: tasks.accepted,
    settled: isNumber(tasks.accepted) && isNumber(tasks.in_flight) ? tasks.accepted - tasks.in_flight : null,
    started: (broker.attempts || {}).started,
    ends: new Map(known.rows.map((row) => [row.key, ends(row)])),
  };
  const before = known.before && known.before.incarnation === sample.incarnation ? known.before : null;
  if (before && time <= before.time) return;
  const rate = (now, then) => (before && isNumber(now) && isNumber(then) ? Math.max(0, now - then) / (time - before.time) : null);
  const given = broker.rates || {};
  const first = (a, b) => (isNumber(a) ? a : b);
  known.rates = {
    accepted: first(given.accepted_per_s, rate(sample.accepted, before && before.accepted)),
    settled: first(given.settled_per_s, rate(sample.settled, before && before.settled)),
    started: first(given.started_per_s, rate(sample.started, before && before.started)),
  };
  known.ends_per_s = new Map();
  for (const [key, now] of sample.ends) known.ends_per_s.set(key, rate(now, before ? before.ends.get(key) : null));
  known.before = sample;
}

// ---- asking ----

// One question asked again and again, never twice at once; it rests while the page is hidden.
class Feed {
  constructor(url, every_ms, take) {
    Object.assign(this, { url, every_ms, take, trouble: null, answered: false, timer: null, asking: null });
  }

  async ask() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    if (this.asking) this.asking.abort();
    const asking = new AbortController();
    this.asking = asking;
    const limit = setTimeout(() => asking.abort(), 6000);
    let answer = null;
    let trouble = null;
    try {
      const response = await fetch(this.url(), { cache: 'no-store', signal: asking.signal });
      answer = await response.json().catch(() => null);
      if (!response.ok || answer === null || typeof answer !== 'object') {
        trouble = { status: response.status, words: answer && answer.error ? String(answer.error) : `answer ${response.status}` };
      }
    } catch (error) {
      trouble = { status: 0, words: 'no answer' };
    }
    clearTimeout(limit);
    if (this.asking !== asking) return;  // a newer question is under way
    this.asking = null;
    this.trouble = trouble;
    this.answered = this.answered || !trouble;
    this.timer = setTimeout(() => this.ask(), this.every_ms);
    if (!trouble) this.take(answer);
    show();
  }
}

let range_s = 600;
const stats = new Feed(() => 'stats.json', 1000, learn);
const dump = new Feed(() => 'dump.json?limit=25', 2000, (answer) => {
  const of_nobody = !isNumber(answer.in_flight) && list(answer.attempts).length === 0;
  if (!of_nobody || !known.dump) known.dump = answer;
});
const past = new Feed(() => `history.json?seconds=${range_s}`, 5000, (answer) => draw_charts(answer));
