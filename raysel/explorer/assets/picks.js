// The list of neurons picked by hand. It is kept in this browser, and in the link of the list's page.

import { index, page } from './page.js';

const key = `raysel-list:${index}`;
let memory = [];

export const read = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? '[]');
    return Array.isArray(kept) ? kept.filter((each) => typeof each === 'string') : [];
  } catch {
    return memory;
  }
};

export const write = (addresses) => {
  memory = addresses;
  try {
    localStorage.setItem(key, JSON.stringify(addresses));
  } catch { /* a browser that keeps nothing: the list lasts as long as the page */ }
  show();
};

export const link = (addresses) => page('list', { neurons: addresses.join(',') });

/** Bring the count, the link of the list and the buttons up to date. */
export const show = () => {
  const picked = read();
  const count = document.getElementById('list-count');
  count.textContent = picked.length;
  count.hidden = picked.length === 0;
  document.getElementById('list-link').href = link(picked);
  for (const button of document.querySelectorAll('.pick[data-neuron]')) {
    const chosen = picked.includes(button.dataset.neuron);
    if (button.getAttribute('aria-pressed') !== String(chosen)) button.setAttribute('aria-pressed', String(chosen));
    const sign = chosen ? '✓' : '+';
    if (button.textContent !== sign) button.textContent = sign;
  }
};

export const toggle = (address) => {
  const picked = read();
  write(picked.includes(address) ? picked.filter((each) => each !== address) : [...picked, address]);
};
