// The ring as it is: broker, workers and collector, with what is on its way between them.
'use strict';

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
    const queue = queue_of(broker);
    const lost = Boolean(queue) && isNumber(queue.lost_for_s);
    this.level('source', lost ? 'warn' : 'well');
    this.say('source.1', queue ? (lost ? 'not connected' : `${count(queue.depth)} waiting`) : source ? `${bytes(source.bytes_read)} read` : '');
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
    this.level('sink', sink.waits_for && sink.waited_s >= 1 ? 'warn' : 'well');
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
