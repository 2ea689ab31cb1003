// Numbers, times and sizes as text, and the elements of the page.
'use strict';

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
