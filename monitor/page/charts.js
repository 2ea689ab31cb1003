// What was, drawn by dygraphs.
'use strict';

const to_ms = (value) => value / 1000;
const as_ms = (value) => micros(value * 1000);
const CHARTS = [
  { id: 'chart-latency', series: [['task_p50_us', 'p50'], ['task_p99_us', 'p99'], ['task_p999_us', 'p99.9']], scale: to_ms, text: as_ms, log: true },
  { id: 'chart-in-flight', series: [['tasks_in_flight', 'tasks'], ['attempts_in_flight', 'attempts']], text: count },
  { id: 'chart-rates', series: [['settled_per_s', 'tasks settled'], ['started_per_s', 'attempts started']], text: perSecond },
  { id: 'chart-attempts', series: [['p50_us', 'p50'], ['p99_us', 'p99'], ['cancel_p99_us', 'cancel p99']], scale: to_ms, text: as_ms },
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

// A logarithmic axis needs a value above 0 that is seen: until there is one it is a plain axis.
function axis(chart, from_ms) {
  const logarithmic = Boolean(chart.log) && chart.rows.some(([at, ...values]) => at >= from_ms && values.some((value) => value > 0));
  return { valueRange: [logarithmic ? null : 0, null], logscale: logarithmic };
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
  // It begins where the group began; ten seconds are the least that is shown.
  const from = Math.max(until - range_s, Math.min(times.length ? times[0] : 0, until - 10));
  for (const chart of CHARTS) {
    const columns = chart.series.map(([field]) => list(history[field]));
    const value = (column, i) => (isNumber(column[i]) ? (chart.scale || Number)(column[i]) : null);
    chart.rows = times.map((t, i) => [new Date(t * 1000), ...columns.map((column) => value(column, i))]);
    if (chart.rows.length === 0) chart.rows = [[new Date(until * 1000), ...chart.series.map(() => null)]];
    const options = { dateWindow: [from * 1000, until * 1000], ...axis(chart, from * 1000) };
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
