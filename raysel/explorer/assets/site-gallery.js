// The gallery of a static site: the same questions as on a server, as far as words and columns answer them here.

import { column, page, table } from './page.js';
import { showTiles, tileMaker } from './tiles.js';

const form = document.getElementById('question');
const results = document.getElementById('results');
const total = results.querySelector('.total');
const list = document.getElementById('tiles');
const COLORS = ['red', 'orange', 'brown', 'yellow', 'green', 'blue', 'purple', 'pink', 'black', 'gray', 'white'];
const COMPARISON = /^\s*([\w.]+)\s*(>=|<=|<>|!=|=|>|<)\s*(?:'((?:[^']|'')*)'|([-+\d.eE]+))\s*$/;

const known = await table();
const kinds = new Map(known.columns.map((each) => [each.name, each.kind]));
const makeTile = await tileMaker();
const everyone = Array.from({ length: known.neurons }, (_, row) => row);

const load = (name) => {
  if (!kinds.has(name)) throw new Error(`no column ${name} in this index`);
  return column(name);
};

const glob = (text) => new RegExp(`^${text.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`);

/** How well each neuron matches the words, 0 to 1. */
const matches = async (words) => {
  const scores = new Array(known.neurons).fill(1);
  for (const word of words.toLowerCase().split(/\s+/).filter(Boolean)) {
    const parts = new Array(known.neurons).fill(0);
    let meant = false;
    if (COLORS.includes(word) && kinds.has(`color_names.${word}`)) {
      meant = true;
      const [shares, color] = await Promise.all([load(`color_names.${word}`), load('color_selectivity')]);
      const gray = ['black', 'gray', 'white'].includes(word);
      shares.forEach((share, row) => { parts[row] = Math.sqrt((share ?? 0) * (gray ? 1 - (color[row] ?? 1) : color[row] ?? 0)); });
    }
    for (const [name, share] of [['label', 'label_share'], ['concept', 'concept_share'], ['layer', '']]) {
      if (!kinds.has(name)) continue;
      const texts = await load(name);
      const shares = share && kinds.has(share) ? await load(share) : [];
      texts.forEach((text, row) => {
        const said = text == null ? '' : `${known.classes[text] ?? ''} ${text}`.toLowerCase();
        if (!said.split(/[^\p{L}\p{N}]+/u).includes(word) && said.trim() !== word) return;
        meant = true;
        parts[row] = Math.max(parts[row], share ? (shares[row] ?? 1) : 1);
      });
    }
    if (!meant) throw new Error(`'${word}' is not a color, leading class, concept or layer of this index`);
    parts.forEach((part, row) => { scores[row] *= part; });
  }
  return scores;
};

/** A function from a row to whether it meets a condition. */
const condition = async (text) => {
  const tests = [];
  for (const part of text.split(/\s+and\s+/i).filter((each) => each.trim())) {
    const read = COMPARISON.exec(part);
    if (!read) throw new Error(`cannot read the condition ${part}: write COLUMN > NUMBER, joined by and`);
    const [, name, sign, quoted, number] = read;
    const values = await load(name);
    const other = quoted === undefined ? Number(number) : quoted.replaceAll("''", "'");
    const compare = { '>': (a) => a > other, '>=': (a) => a >= other, '<': (a) => a < other, '<=': (a) => a <= other, '=': (a) => a === other, '<>': (a) => a !== other, '!=': (a) => a !== other }[sign];
    tests.push((row) => values[row] != null && compare(values[row]));
  }
  return (row) => tests.every((test) => test(row));
};

const answer = async (state) => {
  let rows = everyone;
  let order = state.sort || (state.q ? '' : 'color_selectivity');
  if (state.layer) {
    const [layers, pattern] = [await load('layer'), glob(state.layer)];
    rows = rows.filter((row) => pattern.test(layers[row]));
    if (!rows.length) throw new Error(`no layer ${state.layer} in this index`);
  }
  if (state.neurons) {
    const [layers, channels, wanted] = [await load('layer'), await load('channel'), new Set(state.neurons.split(','))];
    rows = rows.filter((row) => wanted.has(`${layers[row]}:${channels[row]}`));
  }
  const meets = await condition(state.where ?? '');
  rows = rows.filter(meets);
  let values = null;
  if (state.q) {
    values = await matches(state.q);
    rows = rows.filter((row) => values[row] > 0);
  }
  if (order === 'layer') order = 'layer_depth';
  if (order) values = await load(order);
  const text = state.sort && kinds.get(state.sort) === 'text';
  const sign = (state.direction || (text ? 'ascending' : 'descending')) === 'ascending' ? 1 : -1;
  const before = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return rows.toSorted((a, b) => (values[a] == null) - (values[b] == null) || sign * before(values[a], values[b]) || a - b);
};

let stop = () => {};
const show = async (state) => {
  stop();
  results.querySelector('.problem')?.remove();
  try {
    const rows = await answer(state);
    total.textContent = `${rows.length.toLocaleString('en')} ${rows.length === 1 ? 'neuron' : 'neurons'}`;
    stop = showTiles(list, rows, makeTile);
  } catch (error) {
    total.textContent = '';
    list.replaceChildren();
    const problem = document.createElement('p');
    problem.className = 'problem';
    problem.setAttribute('role', 'alert');
    problem.textContent = error.message;
    results.prepend(problem);
  }
};

const ofAddress = () => Object.fromEntries(new URLSearchParams(location.search));
const ofForm = () => Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
const fill = (state) => {
  for (const field of form.elements) if (field.name && field.type !== 'hidden') field.value = state[field.name] ?? '';
};

const asked = () => {
  const state = ofForm();
  history.pushState(null, '', page('gallery', state));
  show(state);
};
form.addEventListener('submit', (event) => { event.preventDefault(); asked(); });
form.addEventListener('change', asked);
addEventListener('popstate', () => { fill(ofAddress()); show(ofAddress()); });
fill(ofAddress());
show(ofAddress());
