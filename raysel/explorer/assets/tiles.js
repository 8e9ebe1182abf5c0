// Neurons as tiles, from the template that the page holds: the same tiles as the server's.

import { column, figure, neurons, table } from './page.js';

const COARSE = 48;

/** A name that may be broken into lines where the server's tiles break it. */
const breakable = (name) => name.split(/(?<=[._/-])(?=[^._/-])/)
  .flatMap((part, place) => (place ? [document.createElement('wbr'), part] : [part]));

/** A function from a neuron's row to its tile. */
export const tileMaker = async () => {
  const known = await table();
  const names = new Set(known.columns.map((each) => each.name));
  const load = (name) => (names.has(name) ? column(name) : Promise.resolve([]));
  const [all, color, class_, label, colorName, dead, size] = await Promise.all([
    neurons(), ...['color_selectivity', 'class_selectivity', 'label', 'color_name', 'dead', 'rf_size'].map(load),
  ]);
  const template = document.getElementById('tile');
  return (row) => {
    const tile = template.content.cloneNode(true).firstElementChild;
    const find = (selector) => tile.querySelector(selector);
    find('a').href = all.page(row);
    if (dead[row]) {
      const none = document.createElement('span');
      none.className = 'nf none';
      none.textContent = 'dead';
      find('.nf').replaceWith(none);
    } else {
      find('.nf').src = all.feature(row);
      find('.nf').classList.toggle('coarse', size[row] < COARSE);
    }
    find('.address').replaceChildren(...breakable(all.address(row)));
    const pick = find('.pick');
    pick.dataset.neuron = all.address(row);
    pick.setAttribute('aria-label', `${all.address(row)} in the list`);
    find('span.color').textContent = figure(color[row]);
    find('span.class').textContent = figure(class_[row]);
    find('.mini.color .value').setAttribute('width', 100 * (color[row] ?? 0));
    find('.mini.class .value').setAttribute('width', 100 * (class_[row] ?? 0));
    const words = [colorName[row], label[row] == null ? null : (known.classes[label[row]] ?? label[row])];
    find('.words').textContent = words.filter(Boolean).join(' · ');
    return tile;
  };
};

/** Show rows as tiles in a list, more of them as its end comes into view. */
export const showTiles = (list, rows, makeTile, step = 60) => {
  let shown = 0;
  list.replaceChildren();
  const more = document.createElement('li');
  more.className = 'more';
  const watch = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && add(), { rootMargin: '300px' });
  const add = () => {
    more.remove();
    list.append(...rows.slice(shown, shown + step).map(makeTile));
    shown += step;
    if (shown < rows.length) {
      list.append(more);
      watch.observe(more);
    } else watch.disconnect();
  };
  add();
  return () => watch.disconnect();
};
