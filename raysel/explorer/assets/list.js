// The list: its link holds it. On a static site the tiles are made here.

import { column, live, neurons, table } from './page.js';
import { link, read, write } from './picks.js';
import { showTiles, tileMaker } from './tiles.js';

const named = new URLSearchParams(location.search).get('neurons');
const addresses = named === null ? read() : named.split(',').map((each) => each.trim()).filter(Boolean);

if (named !== null && addresses.length) write(addresses);
if (named === null && addresses.length) location.replace(link(addresses));

document.addEventListener('click', (event) => {
  if (event.target.closest('.pick[data-neuron]')) setTimeout(() => location.replace(link(read())));
});
document.getElementById('list-clear').addEventListener('click', () => {
  write([]);
  location.assign(link([]));
});
document.getElementById('list-copy').addEventListener('click', async (event) => {
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Copy it from the address bar';
  }
});

if (!live && addresses.length) {
  const [all, makeTile, known] = await Promise.all([neurons(), tileMaker(), table()]);
  const rows = new Map(Array.from({ length: all.count }, (_, row) => [all.address(row), row]));
  const shown = addresses.filter((address) => rows.has(address)).map((address) => rows.get(address));
  document.getElementById('list-empty').hidden = true;
  document.getElementById('list-tools').hidden = false;
  document.getElementById('list-total').textContent = shown.length;
  showTiles(document.getElementById('tiles'), shown, makeTile);
  document.getElementById('list-csv').addEventListener('click', async (event) => {
    if (event.currentTarget.href.startsWith('blob:')) return;
    event.preventDefault();
    const anchor = event.currentTarget;
    const names = known.columns.map((each) => each.name);
    const columns = await Promise.all(names.map(column));
    const field = (value) => (value == null ? '' : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
    const lines = [names.join(','), ...shown.map((row) => columns.map((values) => field(values[row])).join(','))];
    anchor.href = URL.createObjectURL(new Blob([`${lines.join('\n')}\n`], { type: 'text/csv' }));
    anchor.click();
  });
}
