// The live page: asks stats.json, dump.json and history.json of its own origin and shows the answers. It only reads.
// Any field may be missing (older processes) and any answer may fail; what was last known then stays, greyed. All text
// from the answers goes in by textContent or setAttribute.
'use strict';

// ---- words and numbers ----

const byId = (id) => document.getElementById(id);
const NONE = '\u2013';
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const list = (value) => (Array.isArray(value) ? value : []);
const byName = (a, b) => String(a).localeCompare(String(b), 'en', { numeric: true });

const count = (value) => (isNumber(value) ? grouped.format(value) : NONE);
const words = (value) => (value === undefined || value === null || value === '' ? NONE : String(value));

function perSecond(value) {
  if (!isNumber(value)) return NONE;
  return (value > 0 && value < 10 ? value.toFixed(1) : grouped.format(value)) + '/s';
}

function micros(value) {
  if (!isNumber(value)) return NONE;
  if (value < 1000) return `${Math.round(value)} µs`;
  if (value < 1e6) return `${(value / 1e3).toPrecision(3)} ms`;
  return seconds(value / 1e6);
}

function seconds(value) {
  if (!isNumber(value)) return NONE;
  if (value < 0) return `${NONE}${seconds(-value)}`;
  if (value === 0) return '0 s';
  if (value < 1) return micros(value * 1e6);
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.floor(value);
  const two = (n) => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor(whole / 3600) % 24)} h`;
}

function bytes(value) {
  if (!isNumber(value)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; ++unit; }
  return `${unit === 0 ? value : value.toPrecision(value < 1000 ? 3 : 4)} ${units[unit]}`;
}

const many = (n, noun) => `${grouped.format(n)} ${noun}${n === 1 ? '' : 's'}`;

function short(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

function make(tag, attributes = {}, text = null) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// ---- what is known ----

const known = {
  time: null,          // the monitor's clock in its last stats
  fresh_at: null,      // our clock when that last moved
  unmoved: 0,          // answers since then
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
  dump: null,
};

function learn(stats) {
  known.unmoved = stats.time === known.time && known.fresh_at !== null ? known.unmoved + 1 : 0;
  if (known.unmoved === 0) known.fresh_at = Date.now();
  known.time = stats.time;
  known.processes = list(stats.processes).filter((process) => process && typeof process === 'object');
  for (const process of known.processes) if (process.role) known.roles.set(process.name, process.role);
  const here = (role) => known.processes.find((process) => process.role === role && !process.gone);
  const broker = here('broker');
  const collector = here('collector');
  known.broker_here = Boolean(broker);
  known.collector_here = Boolean(collector);
  known.broker = broker || known.broker;
  known.collector = collector || known.collector;
  known.rows = worker_rows();
  learn_rates(stats.time);
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

// Rates are the broker's where it gives them, else the difference to the sample before.
function learn_rates(time) {
  const broker = known.broker;
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
const dump = new Feed(() => 'dump.json?limit=25', 2000, (answer) => { known.dump = answer; });
const past = new Feed(() => `history.json?seconds=${range_s}`, 5000, (answer) => draw_charts(answer));

// ---- is the group well ----

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

function judge() {
  const signs = { books: null, collector: null, workers: null };
  if (!stats.answered && !stats.trouble) return { level: 'wait', words: 'Asking the monitor.', signs };
  const kept = stats.answered ? ' Below, in grey, is what was last known.' : '';
  if (stats.trouble) {
    const what = stats.trouble.status === 503
      ? `No process of the group answers (${stats.trouble.words}).`
      : `The monitor does not answer (${stats.trouble.words}).`;
    return { level: 'bad', words: what + kept, signs };
  }

  const bad = [];
  const warn = [];
  const notes = [];
  const broker = known.broker_here ? known.broker : null;
  if (!broker) bad.push(`The broker is gone.${known.broker ? kept : ''}`);
  if (broker) {
    const balanced = broker.balanced !== false && holds('tasks') !== false && holds('attempts') !== false;
    signs.books = balanced ? ['well', 'Books balanced'] : ['bad', 'Books do not balance'];
    if (!balanced) bad.push('The books do not balance.');
    if (broker.draining) notes.push('It is draining: nothing new is taken.');
    else if (broker.stopping) notes.push('It is stopping.');
    else if (broker.source && broker.source.ended) notes.push('The source has ended.');
  }

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
  const title = `curfew: ${{ well: 'well', warn: 'look', bad: 'trouble', wait: 'asking' }[verdict.level]}`;
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
  const old = { stats: Boolean(stats.trouble), broker: broker_old, dump: Boolean(dump.trouble), history: Boolean(past.trouble) };
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
  const hedges = broker.hedges || {};
  const attempts = broker.attempt_time || {};
  const cancels = broker.cancel_time || {};
  const sink = (known.collector || {}).sink || {};
  const facts = [
    ['hedges-sent', 'Hedges sent', count(hedges.sent)],
    ['hedges-won', 'Hedges won', count(hedges.won)],
    ['hedges-withheld', 'Hedges withheld', count(hedges.withheld)],
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
  const element = byId('facts');
  for (const [name, term, text] of facts) {
    let fact = element.querySelector(`[data-fact=${name}]`);
    if (!fact) {
      fact = make('div', { 'data-fact': name });
      fact.append(make('dt', {}, term), make('dd'));
      element.append(fact);
    }
    say(fact.lastChild, text.replace(/(\d) /g, '$1\u00a0'));   // no break between a number and its unit
  }
}

// ---- tables ----

// columns: {name, title, text(row), by(row)?: sortable, words?, long?, head?}; rows are kept by key, so that focus,
// selection and scrolling stay.
class Table {
  constructor(id, columns, { key, dress = () => {}, none }) {
    Object.assign(this, { columns, key, dress, none, rows: new Map(), data: [], sorted: null, up: true });
    this.body = byId(id).tBodies[0];
    const line = make('tr');
    for (const column of columns) {
      const cell = make('th', { scope: 'col' });
      if (column.words) cell.className = 'words';
      if (column.by) {
        const button = make('button', { type: 'button', 'data-column': column.name }, column.title);
        button.addEventListener('click', () => this.sort(column));
        cell.append(button);
        if (!this.sorted) this.sorted = column;
      } else {
        cell.textContent = column.title;
      }
      column.cell = cell;
      line.append(cell);
    }
    byId(id).tHead.append(line);
    this.mark_sort();
  }

  sort(column) {
    this.up = this.sorted === column ? !this.up : Boolean(column.words);
    this.sorted = column;
    this.mark_sort();
    this.show(this.data);
  }

  mark_sort() {
    for (const column of this.columns) {
      if (column.by) mark(column.cell, 'aria-sort', column === this.sorted ? (this.up ? 'ascending' : 'descending') : 'none');
    }
  }

  // Missing values go last, whatever the direction.
  compare(a, b) {
    const [x, y] = [this.sorted.by(a), this.sorted.by(b)];
    const [no_x, no_y] = [x === undefined || x === null, y === undefined || y === null];
    if (no_x || no_y) return no_x - no_y;
    const order = isNumber(x) && isNumber(y) ? x - y : byName(x, y);
    return (this.up ? order : -order) || byName(this.key(a), this.key(b));
  }

  show(data) {
    this.data = data;
    const rows = this.sorted ? [...data].sort((a, b) => this.compare(a, b)) : data;
    const left = new Map(this.rows);
    let next = this.body.firstElementChild;
    for (const row of rows) {
      const key = this.key(row);
      let line = this.rows.get(key);
      if (!line) {
        line = make('tr');
        for (const column of this.columns) {
          const cell = column.head ? make('th', { scope: 'row' }) : make('td');
          cell.className = [column.words && 'words', column.long && 'long', column.name === 'state' && 'state'].filter(Boolean).join(' ');
          line.append(cell);
        }
        this.rows.set(key, line);
      }
      left.delete(key);
      this.columns.forEach((column, i) => {
        const text = column.text(row);
        say(line.cells[i], text);
        if (column.long) mark(line.cells[i], 'title', text);
      });
      this.dress(line, row);
      if (line === next) next = next.nextElementSibling;
      else this.body.insertBefore(line, next);
    }
    for (const [key, line] of left) {
      line.remove();
      this.rows.delete(key);
    }
    const empty = this.body.querySelector('tr.empty');
    if (empty) empty.remove();
    if (rows.length === 0) {
      const line = make('tr', { class: 'empty' });
      line.append(make('td', { class: 'none', colspan: this.columns.length }, this.none));
      this.body.append(line);
    }
  }
}

const worded = (name, title, more = {}) => ({ name, title, words: true, text: (row) => words(row[name]), by: (row) => row[name], ...more });
const counted = (name, title) => ({ name, title, text: (row) => count(row[name]), by: (row) => row[name] });
const plain = (column) => ({ ...column, by: undefined });

function slots_text(row) {
  const less = isNumber(row.slots_in_service) && isNumber(row.slots) && row.slots_in_service < row.slots;
  return less ? `${count(row.slots_in_service)} of ${count(row.slots)}` : count(row.slots);
}

const level_of = (state) => (state === 'gone' ? 'bad' : state === 'ready' ? 'well' : 'warn');

const workers_table = new Table('workers', [
  worded('name', 'Name', { head: true }),
  worded('pool', 'Pool'),
  worded('state', 'State'),
  { name: 'slots', title: 'Slots', text: slots_text, by: (row) => row.slots },
  counted('in_flight', 'In flight'),
  counted('credit', 'Credit'),
  counted('won', 'Won'),
  counted('late', 'Late'),
  counted('cancelled', 'Cancelled'),
  counted('failed', 'Failed'),
  counted('expired', 'Expired'),
  counted('lost', 'Lost'),
  { name: 'p50', title: 'p50', text: (row) => micros((row.took || {}).p50_us), by: (row) => (row.took || {}).p50_us },
  { name: 'p99', title: 'p99', text: (row) => micros((row.took || {}).p99_us), by: (row) => (row.took || {}).p99_us },
  {
    name: 'last_heard_s', title: 'Last heard',
    text: (row) => (row.state === 'gone' || !isNumber(row.last_heard_s) ? NONE : `${row.last_heard_s.toFixed(1)} s`),
    by: (row) => (row.state === 'gone' ? null : row.last_heard_s),
  },
], {
  key: (row) => row.key,
  none: 'No workers.',
  dress: (line, row) => {
    mark(line, 'data-worker', row.name);
    mark(line, 'data-session', row.session);
    mark(line, 'data-state', row.state);
    mark(line, 'data-level', level_of(row.state));
  },
});

const groups_table = new Table('groups', [
  plain(worded('pool', 'Pool', { head: true })),
  plain(worded('state', 'State')),
  plain(counted('count', 'Attempts')),
  { name: 'oldest_s', title: 'Oldest', text: (row) => seconds(row.oldest_s) },
], {
  key: (row) => `${row.pool}/${row.worker}/${row.state}`,
  none: 'Nothing is in flight.',
  dress: (line, row) => mark(line, 'data-pool', row.pool),
});

const oldest_table = new Table('oldest', [
  plain(counted('seq', 'Task')),
  plain(counted('attempt', 'Attempt')),
  plain(worded('worker', 'Worker')),
  plain(worded('pool', 'Pool')),
  plain(worded('state', 'State')),
  { name: 'age_s', title: 'Age', text: (row) => seconds(row.age_s) },
  { name: 'in_state_s', title: 'In state', text: (row) => seconds(row.in_state_s) },
  { name: 'left_s', title: 'Left', text: (row) => (row.left_s !== null ? seconds(row.left_s) : row.state === 'reported' ? '–' : 'no deadline') },
  { name: 'pid', title: 'Pid', text: (row) => words(row.pid) },
  plain(worded('id', 'Id', { long: true })),
], {
  key: (row) => `${row.seq}/${row.attempt}`,
  none: 'Nothing is in flight.',
  dress: (line, row) => mark(line, 'data-seq', row.seq),
});

const processes_table = new Table('processes', [
  worded('name', 'Name', { head: true }),
  { ...worded('role', 'Role'), text: (row) => (row.gone ? `${role_of(row)}, gone` : words(row.role)) },
  { name: 'pid', title: 'Pid', text: (row) => words(row.pid), by: (row) => row.pid },
  { name: 'memory', title: 'Memory', text: (row) => bytes(row.memory_kib * 1024), by: (row) => row.memory_kib },
  counted('descriptors', 'Descriptors'),
  counted('threads', 'Threads'),
  { name: 'cpu_s', title: 'Processor time', text: (row) => seconds(row.cpu_s), by: (row) => row.cpu_s },
  { name: 'uptime_s', title: 'Up', text: (row) => seconds(row.uptime_s), by: (row) => row.uptime_s },
  worded('version', 'Version'),
], {
  key: (row) => `${row.name}/${row.gone ? 'gone' : row.pid}`,
  none: 'No processes.',
  dress: (line, row) => {
    mark(line, 'data-process', row.name);
    mark(line, 'data-state', row.gone ? 'gone' : 'here');
  },
});

// ---- the ring ----

const MOST_STOPS = 12;
const WIDE = 960;

// What stands between broker and collector: each worker, or with many of them each pool.
function stops() {
  const stop = (row) => ({
    key: `worker:${row.key}`, title: words(row.name), below: `${words(row.state)}, ${words(row.pool)}`, level: level_of(row.state),
    in_flight: row.in_flight, slots: row.slots, ends: known.ends_per_s.get(row.key),
  });
  const rows = [...known.rows].sort((a, b) => byName(a.name, b.name));
  if (rows.length <= MOST_STOPS) return rows.map(stop);
  const pools = new Map();
  for (const row of rows) {
    let name = words(row.pool);
    if (!pools.has(name) && pools.size >= MOST_STOPS - 1) name = 'other pools';
    const pool = pools.get(name) || { all: 0, ready: 0, in_flight: 0, slots: 0, ends: null };
    pool.all += 1;
    pool.ready += row.state === 'ready' ? 1 : 0;
    pool.in_flight += row.in_flight || 0;
    pool.slots += row.slots || 0;
    const ends = known.ends_per_s.get(row.key);
    if (isNumber(ends)) pool.ends = (pool.ends || 0) + ends;
    pools.set(name, pool);
  }
  return [...pools].map(([name, pool]) => ({
    key: `pool:${name}`, title: name, level: pool.ready === pool.all ? 'well' : pool.ready ? 'warn' : 'bad',
    below: `${pool.ready} of ${many(pool.all, 'worker')} ready`, in_flight: pool.in_flight, slots: pool.slots, ends: pool.ends,
  }));
}

class Ring {
  constructor(element) {
    this.element = element;
    this.drawn = null;   // the shape on the page
    new ResizeObserver(() => this.show()).observe(element);
  }

  show() {
    const width = Math.floor(this.element.clientWidth);
    if (!known.broker && known.rows.length === 0 && !known.collector) return;
    if (width === 0) return;
    const through = stops();
    const shape = JSON.stringify([width, through.map((stop) => stop.key)]);
    if (shape !== this.drawn) {
      this.begin();
      if (width >= WIDE) this.wide(width, through.length);
      else this.narrow(width, through.length);
      this.drawn = shape;
    }
    this.fill(through);
  }

  begin() {
    this.texts = new Map();
    this.boxes = new Map();
    this.flows = new Map();
    this.svg = this.add(null, 'svg', { role: 'img' });
    this.element.replaceChildren(this.svg);
    const heads = this.add(this.svg, 'defs');
    for (const kind of ['head', 'back-head']) {
      const marker = this.add(heads, 'marker', {
        id: `ring-${kind}`, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: 'userSpaceOnUse', orient: 'auto',
      });
      this.add(marker, 'path', { d: 'M0 0 L8 4 L0 8 z', class: kind });
    }
  }

  add(parent, tag, attributes = {}) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (parent) parent.append(element);
    return element;
  }

  size(width, height) {
    for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) mark(this.svg, name, value);
  }

  text(key, x, y, kind, anchor = 'start') {
    this.texts.set(key, this.add(this.svg, 'text', { x, y, class: kind, 'text-anchor': anchor, 'data-ring': key }));
  }

  // A box has a name and one or two lines under it; a stop has a bar of how full its slots are too.
  box(key, x, y, width, height, { lines = 1, bar = false } = {}) {
    const group = this.add(this.svg, 'g', { 'data-box': key });
    const title = this.add(group, 'title');
    this.add(group, 'rect', { x, y, width, height, rx: 7, class: 'box' });
    let fill = null;
    if (bar) {
      const track = { x: x + 10, y: y + height - 8, height: 3, rx: 1.5 };
      this.add(group, 'rect', { ...track, width: width - 20, class: 'track' });
      fill = this.add(group, 'rect', { ...track, width: 0, class: 'fill' });
    }
    this.boxes.set(key, { group, title, fill, full: width - 20 });
    const top = y + (height - (bar ? 8 : 0) - lines * 16 - 14) / 2 + 12;
    this.text(`${key}.name`, x + 10, top, 'name');
    for (let i = 1; i <= lines; ++i) this.text(`${key}.${i}`, x + 10, top + 16 * i, 'small');
  }

  flow(key, d, head = true) {
    const path = this.add(this.svg, 'path', { d, class: 'flow', 'stroke-width': 1.5, 'data-flow': key });
    if (head) mark(path, 'marker-end', 'url(#ring-head)');
    this.flows.set(key, [...(this.flows.get(key) || []), path]);
  }

  back(d) {
    this.add(this.svg, 'path', { d, class: 'back', 'marker-end': 'url(#ring-back-head)' });
  }

  // Left to right; events and verdicts run below the workers.
  wide(width, n) {
    const row = 54;
    const box = 44;
    const high = Math.max(n * row - (row - box), 92);
    const top = 12;
    const mid = top + high / 2;
    const wides = { source: 116, broker: 164, stop: 190, collector: 164, sink: 116 };
    const free = width - 2 - Object.values(wides).reduce((a, b) => a + b);
    const gap = free * 0.31;   // at the workers, where lines spread
    const x = {};
    let at = 1;
    for (const [name, wide] of Object.entries(wides)) {
      x[name] = at;
      at += wide + (name === 'broker' || name === 'stop' ? gap : free / 2 - gap);
    }
    const right = (name) => x[name] + wides[name];
    const label = (key, from, to, y) => {
      this.text(key, (from + to) / 2, y - 8, 'label', 'middle');
      this.text(`${key}.what`, (from + to) / 2, y + 17, 'small', 'middle');
    };
    const first = top + (high - (n * row - (row - box))) / 2;
    for (let i = 0; i < n; ++i) {
      const y = first + i * row + box / 2;
      const [near, far] = [gap * 0.2, gap * 0.7];
      this.flow(`in.${i}`, `M${right('broker')} ${mid} C${right('broker') + near} ${mid} ${x.stop - far} ${y} ${x.stop - 1} ${y}`);
      this.flow(`out.${i}`, `M${right('stop')} ${y} C${right('stop') + far} ${y} ${x.collector - near} ${mid} ${x.collector - 1} ${mid}`);
    }
    for (let i = 0; i < n; ++i) {
      const y = first + i * row + box / 2;
      this.box(`stop.${i}`, x.stop, y - box / 2, wides.stop, box, { bar: true });
      const beside = y > mid + 1 ? y + 17 : y - 8;   // on the outer side of the line
      this.text(`in.${i}`, x.stop - 12, beside, 'label', 'end');
      this.text(`out.${i}`, right('stop') + 8, beside, 'label', 'start');
    }
    this.box('source', x.source, mid - 32, wides.source, 64, { lines: 2 });
    this.box('broker', x.broker, mid - 40, wides.broker, 80, { lines: 3 });
    this.box('collector', x.collector, mid - 40, wides.collector, 80, { lines: 3 });
    this.box('sink', x.sink, mid - 32, wides.sink, 64, { lines: 2 });
    this.flow('accepted', `M${right('source')} ${mid} H${x.broker - 1}`);
    this.flow('settled', `M${right('collector')} ${mid} H${x.sink - 1}`);
    label('accepted', right('source'), x.broker, mid);
    label('settled', right('collector'), x.sink, mid);
    const low = top + high;
    const corner = (from, to, y) => {
      const step = to > from ? 8 : -8;
      return `M${from} ${mid + 40} V${y - 8} Q${from} ${y} ${from + step} ${y} H${to - step} Q${to} ${y} ${to} ${y - 8} V${mid + 41}`;
    };
    const [b, c] = [x.broker + wides.broker / 2, x.collector + wides.collector / 2];
    this.back(corner(b + 28, c - 28, low + 30));
    this.back(corner(c + 28, b - 28, low + 58));
    this.text('verdicts', (b + c) / 2, low + 24, 'small', 'middle');
    this.text('events', (b + c) / 2, low + 52, 'small', 'middle');
    this.size(width, low + 70);
  }

  // Top to bottom; attempts go down on the left, reports on the right, events and verdicts outside of them.
  narrow(full, n) {
    const width = Math.min(full, 560);
    const [left, row, box] = [40, 52, 44];
    const side = (width - 180) / 2;
    let y = 4;
    this.box('source', side, y, 180, 60, { lines: 2 });
    this.flow('accepted', `M${width / 2} ${y + 60} V${y + 95}`);
    this.text('accepted', width / 2 + 12, y + 83, 'label');
    this.text('accepted.what', width / 2 - 12, y + 83, 'small', 'end');
    y += 96;
    this.box('broker', 1, y, width - 2, 80, { lines: 3 });
    const broker = y + 80;
    y = broker + 34;
    this.text('verdicts', width - 46, broker + 21, 'small', 'end');
    const last = y + (n - 1) * row + box / 2;
    const collector = y + n * row + 26;
    if (n > 0) this.flow('in', `M26 ${broker} V${last}`, false);
    if (n > 0) this.flow('out', `M${width - 26} ${y + box / 2} V${collector - 1}`);
    for (let i = 0; i < n; ++i) {
      this.flow(`in.${i}`, `M26 ${y + box / 2} H${left - 1}`);
      this.flow(`out.${i}`, `M${width - left} ${y + box / 2} H${width - 26}`, false);
      this.box(`stop.${i}`, left, y, width - 2 * left, box, { bar: true });
      this.text(`in.${i}`, width - left - 10, y + 15, 'label', 'end');
      this.text(`out.${i}`, width - left - 10, y + 31, 'small', 'end');
      y += row;
    }
    this.text('events', 46, collector - 9, 'small');
    this.back(`M9 ${collector} V${broker + 1}`);
    this.back(`M${width - 9} ${broker} V${collector - 1}`);
    y = collector;
    this.box('collector', 1, y, width - 2, 80, { lines: 3 });
    this.flow('settled', `M${width / 2} ${y + 80} V${y + 115}`);
    this.text('settled', width / 2 + 12, y + 103, 'label');
    this.text('settled.what', width / 2 - 12, y + 103, 'small', 'end');
    this.box('sink', side, y + 116, 180, 60, { lines: 2 });
    this.size(width, y + 180);
  }

  say(key, text) {
    const element = this.texts.get(key);
    if (element) say(element, text);
  }

  // Lines are wider where more is in flight.
  weigh(key, amount) {
    for (const path of this.flows.get(key) || []) {
      mark(path, 'stroke-width', isNumber(amount) && amount > 0 ? Math.min(5, 1.5 + Math.log10(1 + amount)).toFixed(1) : 1.2);
    }
  }

  level(key, level) {
    mark(this.boxes.get(key).group, 'data-level', level);
  }

  fill(through) {
    const broker = known.broker || {};
    const collector = known.collector || {};
    const source = broker.source;
    const tasks = broker.tasks || {};
    const attempts = broker.attempts || {};
    const sink = collector.sink || {};
    const waiting = isNumber(sink.waiting) ? sink.waiting : collector.sink_waiting;

    this.say('source.name', source ? 'source' : 'producers');
    this.say('source.1', source ? `${bytes(source.bytes_read)} read` : '');
    this.say('source.2', source ? (source.ended ? 'has ended' : source.refused ? `${count(source.refused)} refused` : '') : '');
    this.say('accepted', perSecond(known.rates.accepted));
    this.say('accepted.what', 'accepted');
    this.level('broker', known.broker_here ? (broker.draining ? 'warn' : 'well') : 'bad');
    this.say('broker.name', `broker${known.broker_here ? '' : ', gone'}${known.broker_here && broker.draining ? ', draining' : ''}`);
    this.say('broker.1', `${many_or_none(tasks.in_flight, 'task')} in flight`);
    this.say('broker.2', `${many_or_none(attempts.in_flight, 'attempt')} in flight`);
    this.say('broker.3', `${perSecond(known.rates.started)} started`);
    this.level('collector', known.collector_here ? 'well' : 'bad');
    this.say('collector.name', `collector${known.collector_here ? '' : ', gone'}`);
    this.say('collector.1', `${count(collector.reports)} reports`);
    this.say('collector.2', `${count(collector.duplicates)} duplicates`);
    this.say('collector.3', `${count(collector.decided)} decided, not settled`);
    this.say('settled', perSecond(known.rates.settled));
    this.say('settled.what', 'settled');
    this.say('sink.name', 'sink');
    this.say('sink.1', `${bytes(sink.bytes)} written`);
    this.say('sink.2', `${count(waiting)} waiting`);
    const to_collector = (broker.collector || {}).unacknowledged;
    this.say('verdicts', `verdicts, sessions: ${count(to_collector)} unacknowledged`);
    this.say('events', `events back: ${count(collector.unacknowledged)} unacknowledged`);
    this.weigh('accepted', known.rates.accepted);
    this.weigh('settled', known.rates.settled);

    through.forEach((stop, i) => {
      const box = this.boxes.get(`stop.${i}`);
      say(box.title, `${stop.title}: ${stop.below}`);
      this.level(`stop.${i}`, stop.level);
      this.say(`stop.${i}.name`, short(stop.title, 20));
      this.say(`stop.${i}.1`, short(stop.below, 27));
      this.say(`in.${i}`, `${count(stop.in_flight)} in flight`);
      this.say(`out.${i}`, `${perSecond(stop.ends)} ended`);
      this.weigh(`in.${i}`, stop.in_flight);
      this.weigh(`out.${i}`, stop.ends);
      const share = isNumber(stop.in_flight) && stop.slots > 0 ? Math.min(1, stop.in_flight / stop.slots) : 0;
      mark(box.fill, 'width', (share * box.full).toFixed(1));
    });
    mark(this.svg, 'aria-label',
      `${source ? 'Source' : 'Producers'} to broker, ${perSecond(known.rates.accepted)} accepted; broker to ` +
      `${through.map((stop) => `${stop.title} (${count(stop.in_flight)} in flight)`).join(', ') || 'no worker'}; ` +
      `collector to sink, ${perSecond(known.rates.settled)} settled`);
  }
}

function many_or_none(n, noun) {
  return isNumber(n) ? many(n, noun) : `${NONE} ${noun}s`;
}

const ring = new Ring(byId('ring'));

// ---- charts ----

const to_ms = (value) => value / 1000;
const as_ms = (value) => micros(value * 1000);
const CHARTS = [
  { id: 'chart-in-flight', series: [['tasks_in_flight', 'tasks'], ['attempts_in_flight', 'attempts']], text: count },
  { id: 'chart-rates', series: [['settled_per_s', 'tasks settled'], ['started_per_s', 'attempts started']], text: perSecond },
  { id: 'chart-latency', series: [['p50_us', 'p50'], ['p99_us', 'p99'], ['cancel_p99_us', 'cancel p99']], scale: to_ms, text: as_ms },
];
const PATTERNS = [null, [7, 4], [2, 3]];

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { series: [1, 2, 3].map((i) => of(`series-${i}`)), line: of('line'), edge: of('edge') };
}

function paint(chart) {
  const { series, line, edge } = colours();
  return { colors: series.slice(0, chart.series.length), gridLineColor: line, axisLineColor: edge };
}

// The key above a chart says the values at the pointer, else the newest.
function show_key(chart, point = null) {
  const row = point === null ? chart.rows.findLast((one) => one.slice(1).some(isNumber)) : chart.rows[point];
  chart.series.forEach(([, name], i) => say(chart.keys[i], `${name} ${row ? chart.text(row[i + 1]) : NONE}`));
  say(chart.at, row && point !== null ? row[0].toLocaleTimeString('en-GB') : '');
}

function start_chart(chart, options) {
  const element = byId(chart.id);
  const key = make('div', { class: 'key' });
  chart.keys = chart.series.map((_, i) => make('span', { class: `s${i + 1}` }));
  chart.at = make('span', { class: 'at' });
  key.append(...chart.keys, chart.at);
  element.before(key);
  chart.graph = new Dygraph(element, chart.rows, {
    ...options,
    ...paint(chart),
    labels: ['time', ...chart.series.map(([, name]) => name)],
    series: Object.fromEntries(chart.series.map(([, name], i) => [name, { strokePattern: PATTERNS[i] }])),
    legend: 'never',
    valueRange: [0, null],
    strokeWidth: 1.8,
    drawGapEdgePoints: true,
    interactionModel: {},   // no zoom and no pan: touch scrolls the page
    highlightCircleSize: 4,
    axes: {
      x: { axisLabelWidth: 56, pixelsPerLabel: 70 },
      y: { axisLabelWidth: 58, pixelsPerLabel: 34, axisLabelFormatter: (value) => (value === 0 ? '0' : chart.text(value)) },
    },
    highlightCallback: (event, x, points, index) => { chart.pointer = true; show_key(chart, index); },
    unhighlightCallback: () => { chart.pointer = false; show_key(chart); },
  });
}

function draw_charts(history) {
  if (!window.Dygraph) return;
  const times = list(history.t);
  const until = times.length ? times[times.length - 1] : Date.now() / 1000;
  for (const chart of CHARTS) {
    const columns = chart.series.map(([field]) => list(history[field]));
    const value = (column, i) => (isNumber(column[i]) ? (chart.scale || Number)(column[i]) : null);
    chart.rows = times.map((t, i) => [new Date(t * 1000), ...columns.map((column) => value(column, i))]);
    if (chart.rows.length === 0) chart.rows = [[new Date(until * 1000), ...chart.series.map(() => null)]];
    const options = { dateWindow: [(until - range_s) * 1000, until * 1000] };
    if (chart.graph) chart.graph.updateOptions({ ...options, file: chart.rows });
    else start_chart(chart, options);
    if (!chart.pointer) show_key(chart);
    mark(byId(chart.id), 'role', 'img');
    mark(byId(chart.id), 'aria-label', `Newest: ${chart.keys.map((one) => one.textContent).join(', ')}`);
    mark(byId(chart.id), 'data-points', times.length);
  }
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of CHARTS) if (chart.graph) chart.graph.updateOptions(paint(chart));
});

for (const button of byId('ranges').children) {
  button.addEventListener('click', () => {
    range_s = Number(button.dataset.seconds);
    for (const other of byId('ranges').children) mark(other, 'aria-pressed', other === button);
    past.ask();
  });
}

// ---- all together ----

function show() {
  show_header();
  show_age();
  show_old();
  if (stats.answered) {
    show_law('tasks');
    show_law('attempts');
    show_facts();
    workers_table.show(known.rows);
    processes_table.show(known.processes);
    ring.show();
  }
  if (known.dump) {
    groups_table.show(list(known.dump.groups));
    oldest_table.show(list(known.dump.attempts));
  }
}

function ask_all() {
  if (document.hidden) return;
  for (const feed of [stats, dump, past]) feed.ask();
}

document.addEventListener('visibilitychange', ask_all);
setInterval(() => { if (!document.hidden) { show_age(); show_header(); } }, 1000);
ask_all();
