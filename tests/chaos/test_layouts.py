"""Without faults: shards, workers and calls do not change the index; the shape of a forward changes only last bits.

See `tests/end_to_end/test_layouts.py` (one image per call, a pretended GPU, one tar) and `test_nodes` (four workers).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.chaos.runs import Undisturbed, assert_whole, fragile_run
from tests.end_to_end.runs import digests, run, table
from tests.pipeline.corpus import Sample, as_tars

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

PLACES = {"images.parquet", "shards.parquet", "quarantine.parquet"}
"""Tables with the locations of images."""
SHARDS = 64


def test_cut_into_shards_in_another_order(
    undisturbed: Undisturbed, samples: dict[str, Sample], faults: Path, tmp_path: Path
) -> None:
    """Ids number the sorted keys, so everything but the locations of images equals the folder's index to the bit."""
    order = np.random.default_rng(SHARDS).permutation(len(samples)).tolist()
    images = as_tars(samples, tmp_path / "tars", SHARDS, order)
    manifest = run(fragile_run(tmp_path / "index", images, faults, workers=1, seed=SHARDS)).manifest
    assert_whole(tmp_path / "index", manifest)
    mine, theirs = digests(manifest), digests(undisturbed.manifest)
    assert mine.keys() == theirs.keys()
    assert {each: mine[each] for each in mine.keys() - PLACES} == {each: theirs[each] for each in mine.keys() - PLACES}
    rows, folder_rows = (
        table(out, of, "images.parquet").select(["image", "key", "label"]).to_pylist()
        for out, of in ((tmp_path / "index", manifest), (undisturbed.config.out, undisturbed.manifest))
    )
    assert rows == [{**row, "key": row["key"].removesuffix(".png")} for row in folder_rows]


def test_another_shape_of_a_forward(undisturbed: Undisturbed, faults: Path, tmp_path: Path) -> None:
    """Rankings are equal up to swaps of entries within 1e-5 of a_max."""
    shape = {"batch_size": 32, "call_images": 257, "slice_images": 300}
    manifest = run(fragile_run(tmp_path / "index", undisturbed.images, faults, **shape)).manifest
    assert manifest.index_fingerprint != undisturbed.manifest.index_fingerprint, "the shape is named"
    assert_whole(tmp_path / "index", manifest)
    mine = list(rankings(tmp_path / "index", manifest))
    theirs = list(rankings(undisturbed.config.out, undisturbed.manifest))
    assert len(mine) == len(theirs) > 10
    for (neuron, ids, activations), (other, other_ids, other_activations) in zip(mine, theirs, strict=True):
        assert neuron == other
        assert_equal_up_to_swaps(ids, activations, other_ids, other_activations)


def rankings(out: str | Path, manifest: Any) -> Iterator[tuple[tuple[str, int], np.ndarray, np.ndarray]]:
    """(neuron, image ids, activations) of every neuron that is not dead."""
    rows: pa.Table = table(out, manifest, "rankings.parquet")
    neurons = list(zip(rows["layer"].to_pylist(), rows["channel"].to_pylist(), strict=True))
    ids, activations = rows["image"].to_numpy(), rows["activation"].to_numpy()
    starts = [0, *(place for place in range(1, len(neurons)) if neurons[place] != neurons[place - 1]), len(neurons)]
    for start, end in pairwise(starts):
        yield neurons[start], ids[start:end], activations[start:end]


def assert_equal_up_to_swaps(ids: Any, activations: Any, other_ids: Any, other_activations: Any) -> None:
    """Check that activations are equal within 1e-5 of a_max, by rank and by image.

    An image that is in one ranking only must be that close to the last entry.
    """
    near = 1e-5 * float(other_activations[0])
    assert len(ids) == len(other_ids)
    np.testing.assert_allclose(activations, other_activations, rtol=0, atol=near)
    mine, theirs = (
        dict(zip(i.tolist(), a.tolist(), strict=True)) for i, a in ((ids, activations), (other_ids, other_activations))
    )
    for image in mine.keys() | theirs.keys():
        last = float(other_activations[-1])
        assert abs(mine.get(image, last) - theirs.get(image, last)) <= near
