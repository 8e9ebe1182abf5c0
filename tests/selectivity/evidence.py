"""Evidence for the tests of the selectivity indexes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raysel.config import DeriveConfig
from raysel.images import Hierarchy, class_facts, imagenet1k
from raysel.neurons import Crops, ReceptiveField, Tap
from raysel.neurons.blocks import BlockGrid
from raysel.pipeline.derive.concepts import concepts_above
from raysel.selectivity import Evidence


def evidence(
    *,
    feature: Any = None,
    count: Any = None,
    sigma: Any = 0.0,
    crops: Any = None,
    shown: Any = None,
    weights: Sequence[float] = (1.0, 1.0),
    labels: Sequence[str | None] | None = None,
    class_sizes: dict[str, int] | None = None,
    hierarchy: Hierarchy | None = None,
    **options: Any,
) -> Evidence:
    """The evidence of a neuron: by default one gray pixel that all crops show, and no labels.

    `crops`, uint8 [N, h, w, 3], are by default N times the feature in 8 bits. Of each, the first rows and columns are
    visible, as many as `shown` [N, 2] says; by default all.
    """
    nf = np.asarray([[[0.5, 0.5, 0.5]]] if feature is None else feature, dtype=np.float64)
    n = len(weights)
    sizes = class_sizes if class_sizes is not None else {label: n for label in set(labels or ()) if label is not None}
    names = sorted(sizes)
    graph = imagenet1k().hierarchy if hierarchy is None else hierarchy
    cut: Any = options.get("concepts")
    grid = BlockGrid.of(nf.shape[:2], 1)
    pixels = np.broadcast_to(np.rint(nf * 255), (n, *nf.shape)).astype(np.uint8) if crops is None else np.array(crops)
    visible = [np.arange(nf.shape[axis]) < np.array(shown or [nf.shape[:2]] * n)[:, axis, None] for axis in (0, 1)]
    pixels[~(visible[0][:, :, None] & visible[1][:, None, :])] = 0
    return Evidence(
        tap=Tap("layer", 1, (1, 1), ReceptiveField.whole_input(nf.shape[:2]), "relu", 0),
        channel=0,
        crops=Crops(grid, pixels, visible[0].astype(np.int64), visible[1].astype(np.int64)),
        feature=nf,
        count=np.full(nf.shape[:2], n) if count is None else np.asarray(count),
        sigma=np.broadcast_to(np.asarray(sigma, dtype=np.float64), nf.shape[:2]),
        ranking=np.asarray(weights, dtype=np.float64),
        labels=np.array(
            [-1 if label is None else names.index(label) for label in labels or [None] * n], dtype=np.int32
        ),
        class_labels=names,
        class_sizes=np.array([sizes[name] for name in names], dtype=np.int64),
        concepts=concepts_above(class_facts(names, hierarchy=hierarchy), graph, cut and graph.cut(cut)),
        derive=DeriveConfig(**options),
    )
