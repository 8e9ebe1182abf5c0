// What every module knows about the page: the index, the addresses of its parts, and its columns.

const body = document.body.dataset;
export const index = body.index;
export const live = body.live === 'yes';
const patterns = JSON.parse(body.patterns);

const filled = (pattern, slug, channel) => pattern.replace('__layer__', slug).replace('999999999', channel);

export const page = (name, state = {}) => {
  const query = new URLSearchParams(Object.entries(state).filter(([, value]) => value !== '' && value != null));
  return patterns[name] + (query.size ? `?${query}` : '');
};

const fetched = new Map();
const json = (address) => {
  if (!fetched.has(address)) {
    fetched.set(address, fetch(address).then((answer) => {
      if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
      return answer.json();
    }));
  }
  return fetched.get(address);
};

/** What the index holds: its layers, its columns and their kinds. */
export const table = () => json(patterns.columns.replace('__name__', 'neurons'));

/** The values of a column, one per neuron: numbers or null; text as text or null. */
export const column = async (name) => {
  const found = await json(patterns.columns.replace('__name__', name));
  return found.values ?? found.codes.map((code) => (code === null ? null : found.texts[code]));
};

/** All neurons by their place in the network: address, page and feature of each. */
export const neurons = async () => {
  const [known, layers, channels] = await Promise.all([table(), column('layer'), column('channel')]);
  const slugs = new Map(known.layers.map((layer, place) => [layer, known.slugs[place]]));
  return {
    count: known.neurons,
    address: (row) => `${layers[row]}:${channels[row]}`,
    layer: (row) => layers[row],
    page: (row) => filled(patterns.neuron, slugs.get(layers[row]), channels[row]),
    feature: (row) => filled(patterns.feature, slugs.get(layers[row]), channels[row]),
  };
};

export const figure = (value) => (value == null ? '–' : typeof value === 'number' ? value.toFixed(2) : String(value));
