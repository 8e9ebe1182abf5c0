"""How well each neuron matches some words.

A word means a color, a class, a concept or a layer, or several of these. The *part* of a word is, per neuron, the
largest over its meanings:

- color: ``sqrt(share * alpha)``, with the name's share of the neuron feature and the color selectivity alpha (Eq. 2);
  for black, gray and white ``sqrt(share * (1 - alpha))``;
- class or concept: the share of the activation above chance, ``max(0, (f - p) / (1 - p))``. f is the share of the class
  (Eq. 3), or of all classes below the concept; p is their share of all labeled images;
- layer: 1 in the layer, else 0.

``match = (product of the parts) ** (1 / number of words) * n / (n + 1)``. Words for layers are not counted: they are a
condition, one of these layers. The last factor places a neuron of one or two images, which are of one class by chance,
behind one of many.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysel.query.profiles.class_shares import class_shares
from raysel.query.words.vocabulary import Meaning, vocabulary
from raysel.store import Index

_ACHROMATIC = ("black", "gray", "white")


def match(index: Index, words: str) -> tuple[NDArray[np.float64], str]:
    """How well each neuron matches, float64[neurons] in [0, 1), in the order of the neurons table, and how the words
    were understood, in one line.

    Raises:
        RayselError: a word is unknown.
    """
    read = vocabulary(index).read(words)
    within: list[NDArray[np.float64]] = []
    parts: list[NDArray[np.float64]] = []
    for _, meanings in read:
        part = np.max([_part(index, meaning) for meaning in meanings], axis=0)
        (within if all(meaning.kind == "layer" for meaning in meanings) else parts).append(part)
    product = np.ones(len(index.neurons)) if not within else np.max(within, axis=0)
    for part in parts:
        product = product * part ** (1 / len(parts))
    n = _numbers(index, "n")
    understood = "; ".join(f"{word} = {' or '.join(map(str, meanings))}" for word, meanings in read)
    return product * n / (n + 1), understood


def _part(index: Index, meaning: Meaning) -> NDArray[np.float64]:
    if meaning.kind == "layer":
        within = pc.is_in(index.neurons["layer"].cast(pa.string()), pa.array(meaning.members))
        return within.to_numpy().astype(np.float64)
    if meaning.kind == "color":
        (name,) = meaning.members
        share, alpha = _numbers(index, "color_names", name), _numbers(index, "color_selectivity")
        agreeing = 1 - alpha if name in _ACHROMATIC else alpha
        return np.where(share > 0, np.sqrt(np.clip(share * agreeing, 0, 1)), 0.0)
    chosen = pc.is_in(index.classes["label"], pa.array(meaning.members)).to_numpy()
    images = pc.fill_null(index.classes["images"], 0).to_numpy()
    chance = images[chosen].sum() / max(images.sum(), 1)
    share = class_shares(index).of(chosen)
    return share if chance >= 1 else np.maximum(0.0, (share - chance) / (1 - chance))


def _numbers(index: Index, *path: str) -> NDArray[np.float64]:
    """A column of numbers, or a part of one; 0 for null."""
    column = index.neurons[path[0]]
    values = pc.struct_field(column, path[1]) if len(path) > 1 else column
    return pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy()
