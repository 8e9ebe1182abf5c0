"""Crops, the neuron feature and its standard deviation, compared with the plain reference."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raysel.neurons import CropCutter, NeuronFeature, ReceptiveField, neuron_feature
from raysel.neurons.blocks import reduction_factor
from tests import reference
from tests.neurons.fields import square

SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Neuron:
    """What a neuron feature is made from, in rank order."""

    rows: NDArray[np.int64]
    origins: NDArray[np.int64]
    weights: NDArray[np.float64]

    def feature(self, cutter: CropCutter, size: int = 0) -> NeuronFeature:
        """By the product, from the crops in one of the cutter's sizes."""
        return neuron_feature(cutter.cut(self.rows, self.origins)[size], self.weights)

    def cut(self, inputs: NDArray[np.uint8], field: ReceptiveField, max_size: int) -> list[reference.Crop]:
        """Its crops, by the reference."""
        k = reference.least_factor(max(field.crop_size), max_size)
        return [
            reference.reduce(reference.crop(inputs[row], (y, x), field.crop_size), k)
            for row, (y, x) in zip(self.rows.tolist(), self.origins.tolist(), strict=True)
        ]

    def expected(self, inputs: NDArray[np.uint8], field: ReceptiveField, max_size: int) -> NeuronFeature:
        """By the reference."""
        cut = self.cut(inputs, field, max_size)
        return NeuronFeature(*reference.neuron_feature(cut, self.weights.tolist()), reference.deviation(cut))


def random_neurons(
    seed: int, field: ReceptiveField, neurons: int = 2, n: int = 7, images: int = 5
) -> tuple[NDArray[np.uint8], list[Neuron]]:
    """Random inputs, and neurons with 1 to `n` crops, many of them partly or entirely outside of their image."""
    rng = np.random.default_rng(seed)
    height, width = field.input_size
    inputs = rng.integers(0, 256, (images, height, width, 3), dtype=np.uint8)
    made = []
    for crops in rng.integers(1, n + 1, neurons).tolist():
        origins = rng.integers(-field.size, max(height, width) + 1, (crops, 2))
        weights = np.sort(rng.uniform(0.7, 1, crops))[::-1] / 1.0
        made.append(Neuron(rng.integers(0, images, crops), origins * (not field.whole), weights))
    return inputs, made


def assert_close(got: NeuronFeature, expected: NeuronFeature) -> None:
    np.testing.assert_array_equal(got.count, expected.count)
    np.testing.assert_allclose(got.feature, expected.feature, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.sigma**2, expected.sigma**2, rtol=0, atol=1e-14)


def assert_same(got: NeuronFeature, expected: NeuronFeature) -> None:
    """To the bit."""
    np.testing.assert_array_equal(got.count, expected.count)
    np.testing.assert_array_equal(got.feature, expected.feature)
    np.testing.assert_array_equal(got.sigma, expected.sigma)


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
    field = square(size, (height, width))
    inputs, neurons = random_neurons(seed, field)
    cutter = CropCutter(inputs, field, max_size)
    for neuron in neurons:
        assert_close(neuron.feature(cutter), neuron.expected(inputs, field, max_size))
        (crops,) = cutter.cut(neuron.rows, neuron.origins)
        pixels, visible = (np.array(each) for each in zip(*neuron.cut(inputs, field, max_size), strict=True))
        np.testing.assert_array_equal(crops.visible, visible)
        np.testing.assert_allclose(crops.pixels, pixels * visible[..., None], rtol=0, atol=1e-6)
        sums = np.tensordot(neuron.weights, visible.astype(float), 1)
        np.testing.assert_allclose(crops.sum_where_visible(neuron.weights), sums, rtol=0, atol=1e-12)
        some = crops.every(2, 3)
        np.testing.assert_array_equal(some.visible, visible[:, ::2, ::3])
        np.testing.assert_array_equal(some.pixels, crops.pixels[:, ::2, ::3])


@pytest.mark.parametrize(("size", "max_size"), [(50, 7), (40, 4), (200, 8), (199, 5)])
def test_crops_that_are_reduced_by_a_large_factor_equal_the_reference(size: int, max_size: int) -> None:
    field = square(size, (240, 230))
    inputs, neurons = random_neurons(5, field, n=24)
    cutter = CropCutter(inputs, field, max_size)
    for neuron in neurons:
        assert_close(neuron.feature(cutter), neuron.expected(inputs, field, max_size))


def test_a_hundred_crops_of_a_deep_layer_from_a_memory_map_equal_the_reference(tmp_path: Path) -> None:
    field = square(139, (224, 224), 16, -46)
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (12, 224, 224, 3), dtype=np.uint8)
    pixels.tofile(tmp_path / "inputs")
    inputs = np.memmap(tmp_path / "inputs", dtype=np.uint8, mode="r", shape=pixels.shape)
    origins = field.origins(rng.integers(0, 13 * 13, 100), 13)
    neuron = Neuron(rng.integers(0, 12, 100), origins, np.linspace(1, 0.7, 100))
    got = neuron.feature(CropCutter(inputs, field, 144))
    assert got.feature.shape == (139, 139, 3)
    assert_close(got, neuron.expected(pixels, field, 144))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere NumPy may fuse multiplication and addition")
@pytest.mark.parametrize(("size", "n"), [(1, 1), (1, 100), (2, 33), (15, 100), (40, 7)])
def test_crops_are_added_one_by_one_in_rank_order(size: int, n: int) -> None:
    """To the bit, so that no library may add them in an order of its own."""
    field = square(size, (48, 48))
    rng = np.random.default_rng(6)
    inputs = rng.integers(0, 256, (9, 48, 48, 3), dtype=np.uint8)
    neuron = Neuron(rng.integers(0, 9, n), rng.integers(0, 49 - size, (n, 2)), np.linspace(1, 0.7, n))
    total = np.zeros((size, size, 3))
    for row, (y, x), w in zip(neuron.rows.tolist(), neuron.origins.tolist(), neuron.weights.tolist(), strict=True):
        total += w * inputs[row, y : y + size, x : x + size]
    got = neuron.feature(CropCutter(inputs, field, 48))
    np.testing.assert_array_equal(got.feature, total / (255.0 * n))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, size=st.sampled_from([3, 17, 20, 24]), max_size=st.sampled_from([6, 10, 40]))
def test_other_neurons_and_sizes_of_the_same_cutter_change_no_bit(seed: int, size: int, max_size: int) -> None:
    field = square(size, (22, 24))
    inputs, neurons = random_neurons(seed, field, neurons=4)
    shared = CropCutter(inputs, field, 7, max_size)
    for neuron in neurons:
        assert_same(neuron.feature(shared, size=1), neuron.feature(CropCutter(inputs, field, max_size)))


def test_bands_of_a_large_crop_are_parts_of_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    field = square(24, (22, 26))
    inputs, (neuron,) = random_neurons(2, field, neurons=1, n=30)
    in_one_band = neuron.feature(CropCutter(inputs, field, 12))
    monkeypatch.setattr("raysel.neurons.crops._BAND_VALUES", 1)
    assert_same(neuron.feature(CropCutter(inputs, field, 12)), in_one_band)


def test_whole_inputs_that_left_the_cache_are_reduced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysel.neurons.crops._CACHE_BYTES", 3 * 10 * 10 * 3 * 2)
    field = square(99, (20, 20))
    inputs, neurons = random_neurons(11, field, neurons=6, images=9)
    cutter = CropCutter(inputs, field, 10)
    for neuron in neurons:
        assert_close(neuron.feature(cutter), neuron.expected(inputs, field, 10))


@pytest.mark.parametrize(("origin", "most"), [((0, 0), 0.0), ((-2, 1), 1e-7)])
def test_equal_crops_are_the_feature_and_have_no_deviation(origin: tuple[int, int], most: float) -> None:
    """Exactly none, or next to none where pixels of a block are hidden and its mean is rounded."""
    field = square(15, (16, 16))
    inputs = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    pixels, _ = reference.reduce(reference.crop(inputs[0], origin, (15, 15)), 5)
    cutter = CropCutter(inputs, field, 3)
    for n in range(1, 40):
        got = Neuron(np.zeros(n, int), np.tile(origin, (n, 1)), np.ones(n)).feature(cutter)
        np.testing.assert_allclose(got.feature, pixels, rtol=0, atol=1e-13)
        assert 0 <= got.sigma.min() <= got.sigma.max() <= most


def test_pixels_that_no_crop_shows_are_zero() -> None:
    field = square(4, (6, 6), 1, -2)
    inputs = np.full((1, 6, 6, 3), 255, dtype=np.uint8)
    origins = field.origins(np.zeros(2, dtype=int), 6)  # the corner: a quarter of the crop is visible
    got = Neuron(np.zeros(2, int), origins, np.array([1.0, 0.8])).feature(CropCutter(inputs, field, 4))
    assert got.count.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 2, 2], [0, 0, 2, 2]]
    for channel in range(3):
        np.testing.assert_allclose(got.feature[:, :, channel], np.where(got.count, 0.9, 0.0), rtol=0, atol=1e-15)
    assert not got.sigma.any()


@given(size=st.integers(1, 3000), max_size=st.integers(1, 300))
def test_the_reduction_is_the_least_that_fits(size: int, max_size: int) -> None:
    assert reduction_factor(size, max_size) == reference.least_factor(size, max_size)
