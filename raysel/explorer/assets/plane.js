// The plane: any two columns as axes, a point per neuron in the color of its feature, and a brush.

import { column, figure, neurons, page, table } from './page.js';
import { showTiles, tileMaker } from './tiles.js';

const form = document.getElementById('axes');
const canvas = document.getElementById('plane');
const hover = document.getElementById('hover');
const brushed = document.getElementById('brushed');
const list = document.getElementById('tiles');
const EDGE = { left: 58, right: 16, top: 14, bottom: 42 };
const NEAR = 12;

const known = await table();
const kinds = new Map(known.columns.map((each) => [each.name, each.kind]));
const optional = (name) => (kinds.has(name) ? column(name) : Promise.resolve(new Array(known.neurons).fill(null)));
const [all, makeTile, hues, chromas] = await Promise.all([neurons(), tileMaker(), optional('hue'), optional('chroma')]);
const numeric = known.columns.filter((each) => each.kind === 'number').map((each) => each.name);
const usual = { x: 'color_selectivity', y: ['class_excess', 'class_selectivity', 'a_max'].find((name) => kinds.has(name)) };

for (const axis of ['x', 'y']) {
  for (const name of numeric) form.elements[axis].append(new Option(name.replaceAll('_', ' ').replaceAll('.', ': '), name));
}

let state = {};
let view = null;
let stop = () => {};

/** Color of a neuron: the hue of opponent space at middle intensity, nearer to gray the less chroma it has. */
const colors = Array.from({ length: known.neurons }, (_, row) => {
  if (hues[row] === null) return 'rgb(128 128 128)';
  const [o2, o3] = [Math.cos(hues[row] * Math.PI / 180), Math.sin(hues[row] * Math.PI / 180)];
  const blue = -2 * o3 / 3;
  const rgb = [(o2 - blue) / 2, (-o2 - blue) / 2, blue];
  const scale = Math.min(1, (chromas[row] ?? 0.3) / 0.25) * 105 / Math.max(...rgb.map(Math.abs));
  return `rgb(${rgb.map((each) => Math.round(138 + each * scale)).join(' ')})`;
});

const span = (values) => {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low > high) return [0, 1];
  if (low >= 0 && high <= 1) return [0, 1];
  if (low === high) return [low - 1, high + 1];
  return [low, high];
};

const ticks = ([low, high], about) => {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(Number(at.toPrecision(10)));
  return found;
};

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const load = async () => {
  const [xs, ys, layers] = await Promise.all([column(state.x), column(state.y), column('layer')]);
  const rows = [];
  for (let row = 0; row < known.neurons; row += 1) {
    if (xs[row] !== null && ys[row] !== null && (!state.layer || layers[row] === state.layer)) rows.push(row);
  }
  view = { xs, ys, rows, spanX: span(xs), spanY: span(ys) };
  draw();
  select();
};

const brush = () => {
  const ends = ['x0', 'x1', 'y0', 'y1'].map((name) => (state[name] === undefined || state[name] === '' ? null : Number(state[name])));
  return ends.every((end) => end === null) ? null : ends;
};

const within = (row, ends) => {
  if (!ends) return true;
  const [x0, x1, y0, y1] = ends;
  const [x, y] = [view.xs[row], view.ys[row]];
  return (x0 === null || x >= x0) && (x1 === null || x <= x1) && (y0 === null || y >= y0) && (y1 === null || y <= y1);
};

const scales = () => {
  const { width, height } = canvas.getBoundingClientRect();
  const [w, h] = [width - EDGE.left - EDGE.right, height - EDGE.top - EDGE.bottom];
  const along = ([low, high], value) => (value - low) / (high - low);
  return {
    width, height,
    x: (value) => EDGE.left + w * along(view.spanX, value),
    y: (value) => EDGE.top + h * (1 - along(view.spanY, value)),
    toX: (at) => view.spanX[0] + (view.spanX[1] - view.spanX[0]) * Math.min(1, Math.max(0, (at - EDGE.left) / w)),
    toY: (at) => view.spanY[0] + (view.spanY[1] - view.spanY[0]) * Math.min(1, Math.max(0, 1 - (at - EDGE.top) / h)),
  };
};

const dense = () => window.devicePixelRatio || 1;
const drawn = document.createElement('canvas'); // axes and points: while a box is dragged, only the box changes

const paint = () => {
  const pen = drawn.getContext('2d');
  const at = scales();
  drawn.width = Math.round(at.width * dense());
  drawn.height = Math.round(at.height * dense());
  pen.scale(dense(), dense());
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  pen.lineWidth = 1;
  const [rule, soft, ink] = ['--rule', '--soft', '--ink'].map(style);
  pen.strokeStyle = rule;
  pen.fillStyle = soft;
  pen.textAlign = 'center';
  for (const tick of ticks(view.spanX, at.width / 110)) {
    pen.strokeRect(at.x(tick), EDGE.top, 0, at.height - EDGE.top - EDGE.bottom);
    pen.fillText(String(tick), at.x(tick), at.height - EDGE.bottom + 16);
  }
  pen.textAlign = 'right';
  for (const tick of ticks(view.spanY, at.height / 70)) {
    pen.strokeRect(EDGE.left, at.y(tick), at.width - EDGE.left - EDGE.right, 0);
    pen.fillText(String(tick), EDGE.left - 8, at.y(tick) + 4);
  }
  pen.fillStyle = ink;
  pen.textAlign = 'center';
  pen.fillText(state.x.replaceAll('_', ' '), (at.width + EDGE.left) / 2, at.height - 8);
  pen.save();
  pen.translate(14, (at.height - EDGE.bottom) / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(state.y.replaceAll('_', ' '), 0, 0);
  pen.restore();
  const radius = view.rows.length > 8000 ? 1.8 : view.rows.length > 1500 ? 2.6 : 3.6;
  const chosen = brush();
  for (const row of view.rows) {
    pen.globalAlpha = chosen && !within(row, chosen) ? 0.1 : view.rows.length > 8000 ? 0.6 : 0.8;
    pen.fillStyle = colors[row];
    const [x, y] = [at.x(view.xs[row]), at.y(view.ys[row])];
    if (radius < 2) pen.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    else {
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
    }
  }
};

const draw = (dragged = null) => {
  if (!view) return;
  if (!dragged) paint();
  const pen = canvas.getContext('2d');
  const at = scales();
  canvas.width = drawn.width;
  canvas.height = drawn.height;
  pen.drawImage(drawn, 0, 0);
  pen.scale(dense(), dense());
  const chosen = brush();
  const box = dragged ?? (chosen && [
    chosen[0] === null ? EDGE.left : at.x(chosen[0]), chosen[3] === null ? EDGE.top : at.y(chosen[3]),
    chosen[1] === null ? at.width - EDGE.right : at.x(chosen[1]), chosen[2] === null ? at.height - EDGE.bottom : at.y(chosen[2]),
  ]);
  if (box) {
    pen.strokeStyle = style('--ink');
    pen.setLineDash([4, 3]);
    pen.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
    pen.setLineDash([]);
  }
};

const where = () => {
  const ends = brush() ?? [null, null, null, null];
  const parts = [[state.x, '>=', ends[0]], [state.x, '<=', ends[1]], [state.y, '>=', ends[2]], [state.y, '<=', ends[3]]];
  return parts.filter(([, , end]) => end !== null).map((part) => part.join(' ')).join(' and ');
};

const select = () => {
  stop();
  list.replaceChildren();
  const ends = brush();
  if (!ends) {
    brushed.textContent = `${view.rows.length.toLocaleString('en')} neurons`;
    return;
  }
  const rows = view.rows.filter((row) => within(row, ends)).sort((a, b) => view.ys[b] - view.ys[a] || a - b);
  const link = document.createElement('a');
  link.href = page('gallery', { where: where(), layer: state.layer, sort: state.y });
  link.textContent = 'in the gallery';
  const count = document.createElement('b');
  count.textContent = rows.length.toLocaleString('en');
  brushed.replaceChildren(count, ` of ${view.rows.length.toLocaleString('en')} neurons · `, link);
  stop = showTiles(list, rows, makeTile, 40);
};

const nearest = (x, y) => {
  const at = scales();
  let [best, distance] = [null, NEAR * NEAR];
  for (const row of view.rows) {
    const d = (at.x(view.xs[row]) - x) ** 2 + (at.y(view.ys[row]) - y) ** 2;
    if (d < distance) [best, distance] = [row, d];
  }
  return best;
};

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

const point = (row, [x, y]) => {
  hover.hidden = row === null;
  if (row === null) return;
  const picture = hover.querySelector('img');
  if (picture.getAttribute('src') !== all.feature(row)) picture.src = all.feature(row);
  picture.hidden = false;
  hover.querySelector('.address').textContent = all.address(row);
  hover.querySelector('.at').textContent = `${figure(view.xs[row])}, ${figure(view.ys[row])}`;
  const at = scales();
  hover.style.left = `${Math.min(Math.max(x + 16, 0), at.width - 140)}px`;
  hover.style.top = `${Math.max(0, Math.min(y + 16, at.height - 200))}px`;
};

let from = null;
canvas.addEventListener('pointerdown', (event) => {
  if (!view || event.button) return;
  from = place(event);
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', (event) => {
  if (!view) return;
  const to = place(event);
  if (from && Math.hypot(to[0] - from[0], to[1] - from[1]) > 4) {
    hover.hidden = true;
    draw([...from, ...to]);
  } else if (!from) point(nearest(...to), to);
});
canvas.addEventListener('pointerup', (event) => {
  if (!from) return;
  const [start, end] = [from, place(event)];
  from = null;
  if (Math.hypot(end[0] - start[0], end[1] - start[1]) <= 4) {
    const row = nearest(...end);
    if (row !== null) location.assign(all.page(row));
    return;
  }
  const at = scales();
  const round = (value) => Number(value.toPrecision(4));
  const xs = [at.toX(start[0]), at.toX(end[0])].map(round).sort((a, b) => a - b);
  const ys = [at.toY(start[1]), at.toY(end[1])].map(round).sort((a, b) => a - b);
  change({ x0: xs[0], x1: xs[1], y0: ys[0], y1: ys[1] });
});
canvas.addEventListener('pointercancel', () => { from = null; draw(); });
canvas.addEventListener('pointerleave', () => { hover.hidden = true; });

const FIELDS = ['x', 'y', 'layer', 'x0', 'x1', 'y0', 'y1'];
const fill = () => { for (const name of FIELDS) form.elements[name].value = state[name] ?? ''; };
const remember = (write) => {
  const query = new URLSearchParams(FIELDS.filter((name) => state[name] !== undefined && state[name] !== '').map((name) => [name, state[name]]));
  write.call(history, null, '', `${location.pathname}?${query}`);
};
const change = async (more) => {
  const axes = state.x !== (more.x ?? state.x) || state.y !== (more.y ?? state.y);
  const layer = state.layer !== (more.layer ?? state.layer);
  state = { ...state, ...more };
  if (axes) for (const end of ['x0', 'x1', 'y0', 'y1']) delete state[end];
  fill();
  remember(history.replaceState);
  if (axes || layer) await load();
  else { draw(); select(); }
};
const read = () => {
  const asked = Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => FIELDS.includes(name)));
  state = { ...usual, ...asked };
  for (const axis of ['x', 'y']) if (kinds.get(state[axis]) !== 'number') state[axis] = usual[axis];
  for (const end of ['x0', 'x1', 'y0', 'y1']) if (state[end] !== undefined && !Number.isFinite(Number(state[end]))) delete state[end];
};

form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('change', (event) => change({ [event.target.name]: event.target.value }));
document.getElementById('clear-brush').addEventListener('click', () => change({ x0: '', x1: '', y0: '', y1: '' }));
hover.querySelector('img').addEventListener('error', (event) => { event.target.hidden = true; });
new ResizeObserver(() => draw()).observe(canvas);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => draw());

read();
fill();
await load();
canvas.dataset.ready = 'yes';
