// The tables: workers, where attempts are, the oldest of them, processes.
'use strict';

// columns: {name, title, text(row), by(row)?: sortable, link(row)?: where it leads, words?, long?, head?}; rows are kept
// by key, so that focus, selection and scrolling stay.
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
          if (column.link) cell.append(make('a'));
          line.append(cell);
        }
        this.rows.set(key, line);
      }
      left.delete(key);
      this.columns.forEach((column, i) => {
        const text = column.text(row);
        say(column.link ? line.cells[i].firstElementChild : line.cells[i], text);
        if (column.link) mark(line.cells[i].firstElementChild, 'href', column.link(row));
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
  { ...plain(counted('seq', 'Task')), link: (row) => `task/${row.seq}` },
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
