"""Crops, neuron feature and deviation against the plain reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raysel.neurons import NeuronFeature, ReceptiveField, neuron_features, reduction_factor
from tests import reference

SEEDS = st.integers(0, 2**32 - 1)


def chunk(
    seed: int, field: ReceptiveField, neurons: int = 2, n: int = 7, images: int = 5
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Random inputs, rows (padded by -1), origins and weights of a chunk of neurons."""
    rng = np.random.default_rng(seed)
    height, width = field.input_size
    inputs = rng.integers(0, 256, (images, height, width, 3), dtype=np.uint8)
    rows = rng.integers(0, images, (neurons, n))
    used = rng.integers(1, n + 1, neurons)
    rows[np.arange(n) >= used[:, None]] = -1
    origins = rng.integers(-field.size, max(height, width) + 1, (neurons, n, 2))
    if field.whole:
        origins[:] = 0
    weights = np.sort(rng.uniform(0.7, 1, (neurons, n)), axis=1)[:, ::-1].copy()
    weights[:, 0] = 1
    return inputs, rows, origins, weights


def plain(
    inputs: NDArray[np.uint8],
    rows: NDArray[np.int64],
    origins: NDArray[np.int64],
    weights: NDArray[np.float64],
    field: ReceptiveField,
    max_size: int,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """The reference's neuron feature, count and sigma of one neuron."""
    k = reference.least_factor(max(field.crop_size), max_size)
    used = [j for j in range(len(rows)) if rows[j] >= 0]
    crops = [
        reference.reduce(reference.crop(inputs[rows[j]], tuple(origins[j].tolist()), field.crop_size), k) for j in used
    ]
    return *reference.neuron_feature(crops, [weights[j] for j in used]), reference.deviation(crops)


def assert_plain(
    got: NeuronFeature, expected: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]
) -> None:
    feature, count, sigma = expected
    np.testing.assert_array_equal(got.count, count)
    np.testing.assert_allclose(got.feature, feature, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.sigma, sigma, rtol=0, atol=1e-9)


@settings(max_examples=150, deadline=None)
@example(seed=0, size=4, height=1, width=4, max_size=3)
@given(
    seed=SEEDS,
    size=st.integers(1, 30),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    max_size=st.integers(3, 40),
)
def test_any_crops_equal_the_reference(seed: int, size: int, height: int, width: int, max_size: int) -> None:
    field = ReceptiveField(size, 1, 0, (height, width))
    arguments = chunk(seed, field)
    features = list(neuron_features(*arguments, field, max_size=max_size))
    inputs, *per_neuron = arguments
    for got, of_neuron in zip(features, zip(*per_neuron, strict=True), strict=True):
        assert_plain(got, plain(inputs, *of_neuron, field, max_size))


@pytest.mark.parametrize(("size", "max_size"), [(9, 3), (50, 7), (40, 4)])
def test_crops_reduced_by_a_large_factor_equal_the_reference(size: int, max_size: int) -> None:
    field = ReceptiveField(size, 1, 0, (60, 41))
    inputs, *per_neuron = chunk(7, field)
    features = neuron_features(inputs, *per_neuron, field, max_size=max_size)
    for got, of_neuron in zip(features, zip(*per_neuron, strict=True), strict=True):
        assert_plain(got, plain(inputs, *of_neuron, field, max_size))


@pytest.mark.parametrize(("size", "max_size"), [(200, 8), (230, 10), (199, 5)])
def test_crops_whose_common_denominator_passes_64_bits_equal_the_reference(size: int, max_size: int) -> None:
    field = ReceptiveField(size, 1, 0, (240, 230))
    inputs, *per_neuron = chunk(5, field, n=24)
    features = neuron_features(inputs, *per_neuron, field, max_size=max_size)
    for got, of_neuron in zip(features, zip(*per_neuron, strict=True), strict=True):
        assert_plain(got, plain(inputs, *of_neuron, field, max_size))


def test_a_hundred_crops_of_a_deep_layer_in_a_memory_map_equal_the_reference(tmp_path: Path) -> None:
    field = ReceptiveField(139, 16, -46, (224, 224))
    pixels, rows, _, weights = chunk(3, field, neurons=1, n=100, images=12)
    pixels.tofile(tmp_path / "inputs")
    inputs = np.memmap(tmp_path / "inputs", dtype=np.uint8, mode="r", shape=pixels.shape)
    positions = np.random.default_rng(4).integers(0, 13 * 13, rows.shape)
    origins = field.origins(positions, 13)
    (got,) = neuron_features(inputs, rows, origins, weights, field, max_size=144)
    assert got.feature.shape == (139, 139, 3)
    assert_plain(got, plain(inputs, rows[0], origins[0], weights[0], field, 144))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, size=st.sampled_from([3, 17, 20, 24]), max_size=st.sampled_from([6, 10, 40]))
def test_a_neuron_is_the_same_to_the_bit_in_any_company_and_any_order(seed: int, size: int, max_size: int) -> None:
    field = ReceptiveField(size, 1, 0, (22, 24))
    inputs, rows, origins, weights = chunk(seed, field, neurons=4)
    together = list(neuron_features(inputs, rows, origins, weights, field, max_size=max_size))
    shuffled = np.random.default_rng(seed).permutation(rows.shape[1])
    for i, expected in enumerate(together):
        orders = (slice(None), shuffled)
        alone = [(rows[i : i + 1, o], origins[i : i + 1, o], weights[i : i + 1, o]) for o in orders]
        for of_neuron in alone:
            (got,) = neuron_features(inputs, *of_neuron, field, max_size=max_size)
            np.testing.assert_array_equal(got.feature, expected.feature)
            np.testing.assert_array_equal(got.sigma, expected.sigma)
            np.testing.assert_array_equal(got.count, expected.count)


def test_whole_inputs_past_those_kept_are_reduced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysel.neurons.crops._KEPT_BYTES", 5 * 10 * 10 * 3 * 2)
    field = ReceptiveField(99, 1, 0, (20, 20))
    inputs, *per_neuron = chunk(11, field, neurons=6, n=4, images=9)
    features = neuron_features(inputs, *per_neuron, field, max_size=10)
    for got, of_neuron in zip(features, zip(*per_neuron, strict=True), strict=True):
        assert_plain(got, plain(inputs, *of_neuron, field, 10))


def test_equal_crops_have_no_deviation_and_are_the_feature() -> None:
    field = ReceptiveField(5, 1, 0, (5, 5))
    inputs = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3), dtype=np.uint8)
    rows, origins, weights = np.zeros((1, 9), dtype=int), np.zeros((1, 9, 2), dtype=int), np.ones((1, 9))
    (got,) = neuron_features(inputs, rows, origins, weights, field, max_size=5)
    np.testing.assert_array_equal(got.sigma, np.zeros((5, 5)))
    np.testing.assert_allclose(got.feature, inputs[0] / 255, rtol=0, atol=1e-15)


def test_pixels_that_no_crop_shows_are_zero() -> None:
    field = ReceptiveField(4, 1, -2, (6, 6))
    inputs = np.full((1, 6, 6, 3), 255, dtype=np.uint8)
    rows, weights = np.zeros((1, 2), dtype=int), np.array([[1.0, 0.8]])
    origins = field.origins(np.zeros((1, 2), dtype=int), 6)  # the corner: a quarter of the crop shows
    (hidden,) = neuron_features(inputs, rows, origins, weights, field, max_size=4)
    assert hidden.count.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 2, 2], [0, 0, 2, 2]]
    assert not hidden.feature[0].any()
    np.testing.assert_allclose(hidden.feature[3, 3], [0.9, 0.9, 0.9])
    np.testing.assert_allclose(hidden.sigma, 0, atol=1e-9)


def test_a_dead_neuron_has_an_empty_feature() -> None:
    field = ReceptiveField(3, 1, 0, (8, 8))
    rows, origins, weights = np.full((1, 4), -1), np.zeros((1, 4, 2), dtype=int), np.zeros((1, 4))
    inputs = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    (got,) = neuron_features(inputs, rows, origins, weights, field, max_size=8)
    assert not got.feature.any()
    assert not got.count.any()
    assert got.sigma.shape == (3, 3)


@given(size=st.integers(1, 3000), max_size=st.integers(1, 300))
def test_the_reduction_is_the_least_that_fits(size: int, max_size: int) -> None:
    assert reduction_factor(size, max_size) == reference.least_factor(size, max_size)
