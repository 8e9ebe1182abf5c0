"""A whole run over the zoo, against `tests.reference`."""

from __future__ import annotations

import numpy as np
import pytest

import raysel
from raysel.images import open_source
from raysel.network import load
from raysel.neurons import first_neurons
from tests.end_to_end.conftest import Images, Indexed
from tests.end_to_end.runs import BATCH, table
from tests.images.samples import list_of
from tests.pipeline.expected import assert_indexes, assert_ranking, expect, watch
from tests.pipeline.test_against_reference import GEOMETRY, ZOO

pytestmark = pytest.mark.ray

HALF_A_LEVEL = 0.5 / 255 + 1e-6


def test_the_index_is_the_reference_s(indexed: Indexed) -> None:
    """Rankings exactly, indexes to 1e-5, features to what 8 bits keep."""
    source, network = open_source(indexed.config.source.images), load(ZOO)
    seen = watch(source, list_of(source), network, BATCH)
    index = raysel.open(str(indexed.out))
    rankings = table(indexed.out, indexed.manifest, "rankings.parquet")
    neurons = {(row["layer"], row["channel"]): row for row in index.neurons.to_pylist()}
    assert len(neurons) == sum(tap.channels for tap in network.taps)
    layers = np.asarray(rankings["layer"].to_pylist())
    channels = np.asarray(rankings["channel"])
    entries = 0
    for tap, first in zip(network.taps, first_neurons(network.taps), strict=False):
        of_tap, where = seen.neurons(first, tap.channels), GEOMETRY[tap.layer]
        for channel in range(tap.channels):
            depth = indexed.config.scan.rank_depth
            expected = expect(of_tap, channel, where, depth, indexed.config.derive)
            rows = rankings.filter((layers == tap.layer) & (channels == channel))
            entries += len(rows)
            assert_ranking(rows, expected, where)
            assert_indexes(neurons[tap.layer, channel], expected)
            neuron = index.neuron(tap.layer, channel)
            if expected.feature is None:
                assert neuron.feature is None
                assert neuron.crops == []
                continue
            assert np.array_equal(neuron.count, expected.count)
            shown = expected.count > 0
            np.testing.assert_allclose(neuron.feature[shown], expected.feature[shown], rtol=0, atol=HALF_A_LEVEL)
            assert len(neuron.crops) == expected.row["n"]
    assert entries == len(rankings)


def test_bad_images_stand_in_quarantine_and_nowhere_else(indexed: Indexed, images: Images) -> None:
    index = raysel.open(str(indexed.out))
    rows = index.quarantine.to_pylist()
    assert [row["key"] for row in rows] == [f"{key}.png" for key in images.bad]
    assert all(row["reason"] and "\n" not in row["reason"] for row in rows)
    keys = index.images["key"].to_pylist()
    assert [keys[row["image"]] for row in rows] == [row["key"] for row in rows]
    ranked = set(table(indexed.out, indexed.manifest, "rankings.parquet")["image"].to_pylist())
    assert not ranked & {row["image"] for row in rows}
    counts = indexed.manifest.counts
    assert (counts.images, counts.quarantined) == (len(images.samples), len(images.bad))
    assert indexed.manifest.coverage == 1


def test_what_a_run_counts(indexed: Indexed, images: Images) -> None:
    counters, depth = indexed.manifest.counters, indexed.config.scan.rank_depth
    index = raysel.open(str(indexed.out))
    rankings = table(indexed.out, indexed.manifest, "rankings.parquet")
    n = {(row["layer"], row["channel"]): row["n"] for row in index.neurons.to_pylist()}
    used = {
        row["image"]
        for row in rankings.select(["layer", "channel", "rank", "image"]).to_pylist()
        if row["rank"] < n[row["layer"], row["channel"]]
    }
    assert counters["derive.images_needed"] == len(used)
    assert counters["derive.images_decoded"] == len(used)
    assert counters["derive.crops"] == sum(n.values())
    assert len(rankings) <= counters["scan.candidates_sent"] <= len(n) * len(images.samples)
    assert max(rankings["rank"].to_pylist()) == depth - 1
    assert indexed.manifest.counts.dead == sum(row["dead"] for row in index.neurons.to_pylist()) == 3
