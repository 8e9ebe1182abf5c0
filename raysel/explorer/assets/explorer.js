// On every page: the list of picked neurons, keys, and on a static site the random neuron.

import { live, neurons, column } from './page.js';
import { show, toggle } from './picks.js';

document.addEventListener('click', (event) => {
  const button = event.target.closest('.pick[data-neuron]');
  if (button) toggle(button.dataset.neuron);
  const choice = event.target.closest('.choice');
  if (choice) for (const each of choice.parentElement.children) each.setAttribute('aria-pressed', String(each === choice));
});

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea, canvas')) return;
  if (event.key === '/') {
    (document.getElementById('q') ?? document.getElementById('find')).focus();
    event.preventDefault();
  }
  const to = { ArrowLeft: 'a[rel=prev]', ArrowRight: 'a[rel=next]' }[event.key];
  if (to && !event.target.closest('[tabindex="0"]')) document.querySelector(to)?.click();
  if (event.key === 'l') document.querySelector('.heading .pick')?.click();
});

// Parts of the page that arrive later have buttons as well.
new MutationObserver(show).observe(document.getElementById('main'), { childList: true, subtree: true });
addEventListener('storage', show);
addEventListener('pageshow', show);
show();

if (!live) {
  document.getElementById('random-link').addEventListener('click', async (event) => {
    event.preventDefault();
    const [all, dead] = await Promise.all([neurons(), column('dead')]);
    const alive = dead.flatMap((each, row) => (each ? [] : [row]));
    location.assign(all.page(alive[Math.floor(Math.random() * alive.length)]));
  });
}
