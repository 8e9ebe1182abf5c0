"""The neuron feature (Eq. 1) and the deviation between its crops.

Pixels are whole numbers, and so are block means once they have a common denominator. All sums over crops are of such
numbers and of weights split in two parts short enough for float64 to carry every product and sum without rounding:
they do not depend on the order of the crops, on the neurons computed beside this one, or on the machine's BLAS.
(Only crops cut off by a border and reduced by 7 or more have denominators too large for that. From about 23 on not
even 64 bits hold them: then means are rounded, and features are right to 1e-12, not to the bit.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysel.neurons.crops import CropCutter, Crops
from raysel.neurons.receptive_field import ReceptiveField

_BAND_VALUES = 1 << 16  # values of a band of pixels over all crops, in float64: half of a usual second-level cache
_MANTISSA = 53
_FINE = 1 << 36  # denominator of rounded means: they err by less than 1e-13 of the range, and float64 holds their sums


@dataclass(frozen=True)
class NeuronFeature:
    """The neuron feature of one neuron, h x w pixels."""

    feature: NDArray[np.float64]
    """float64 [h, w, 3], RGB in 0..1; 0 where no crop shows."""
    count: NDArray[np.int64]
    """int64 [h, w]: how many crops show the pixel."""
    sigma: NDArray[np.float64]
    """float64 [h, w], 0..0.5: root mean square over R, G, B of the standard deviation over the crops that show it."""


def neuron_features(
    inputs: NDArray[np.uint8],
    rows: NDArray[np.integer],
    origins: NDArray[np.integer],
    weights: NDArray[np.float64],
    field: ReceptiveField,
    *,
    max_size: int,
) -> Iterator[NeuronFeature]:
    """The neuron features of a chunk of neurons of one layer, in order. None depends on its neighbours.

    Args:
        inputs: uint8 [images, H, W, 3], RGB: what the network saw, before normalisation; may be a memory map.
        rows: int [neurons, N], each neuron's images as rows of `inputs`, -1 where it has fewer.
        origins: int [neurons, N, 2], first (row, column) of each crop (`ReceptiveField.origins`).
        weights: float64 [neurons, N], relative activations w, in (0, 1].
        field: the layer's receptive field.
        max_size: crops larger than this many pixels a side are reduced by the least whole factor.
    """
    cutter = CropCutter(inputs, field, max_size)
    for of_rows, of_origins, of_weights in zip(rows, origins, weights, strict=True):
        used = of_rows >= 0
        yield neuron_feature(cutter.cut(of_rows[used], of_origins[used]), of_weights[used])


def neuron_feature(crops: Crops, weights: NDArray[np.float64]) -> NeuronFeature:
    """Eq. 1 of one neuron's crops: ``sum_j w_j I_j`` over the crops that show the pixel, divided by their number."""
    if len(crops) == 0:
        shape = crops.sums.shape[1:3]
        return NeuronFeature(np.zeros((*shape, 3)), np.zeros(shape, dtype=np.int64), np.zeros(shape))
    values, denominator, count = _means(crops)
    moments = _Moments.over_crops(values, weights)
    n = np.maximum(count, 1)[:, :, None]
    unit = 1 / (255 * denominator)
    feature = moments.weighted * unit / n
    variance = (n * moments.squares - moments.total**2) * (unit / n) ** 2
    return NeuronFeature(feature, count, _deviation(variance))


def _means(crops: Crops) -> tuple[NDArray[np.unsignedinteger], int, NDArray[np.int64]]:
    """Block means over showing pixels as whole numbers, 0 where hidden; their denominator; how many crops show each."""
    if crops.factor == 1:  # exact: the counts are far below 2^53
        showing = crops.rows.T.astype(np.float64) @ crops.columns.astype(np.float64)
        return crops.sums, 1, showing.astype(np.int64)
    common = math.lcm(*np.unique(crops.rows[crops.rows > 0]), *np.unique(crops.columns[crops.columns > 0]))
    if 255 * common**2 > np.iinfo(np.uint64).max:
        return _rounded_means(crops)
    every = np.outer(common // crops.block_rows, common // crops.block_columns)
    complete = crops.complete
    if complete.all() and (every == 1).all():
        return crops.sums, common**2, np.full(every.shape, len(crops))
    values: NDArray[np.unsignedinteger] = crops.sums.astype(np.min_scalar_type(255 * common**2))
    count: NDArray[np.int64] = np.zeros(every.shape, dtype=np.int64)
    for j in range(len(crops)):
        if complete[j]:
            _scale(values[j], every)
            count += 1
        else:
            shows = crops.shows(j)
            by_row, by_column = (common // np.maximum(pixels, 1) for pixels in (crops.rows[j], crops.columns[j]))
            _scale(values[j], np.outer(by_row, by_column) * shows)
            count += shows
    return values, common**2, count


def _rounded_means(crops: Crops) -> tuple[NDArray[np.unsignedinteger], int, NDArray[np.int64]]:
    """As `_means`, to the nearest multiple of ``1 / _FINE``."""
    values = np.empty(crops.sums.shape, dtype=np.uint64)
    count: NDArray[np.int64] = np.zeros(values.shape[1:3], dtype=np.int64)
    for j in range(len(crops)):
        shows = crops.shows(j)
        pixels = np.maximum(np.outer(crops.rows[j], crops.columns[j]), 1)
        values[j] = np.rint(crops.sums[j] * (shows * _FINE / pixels)[:, :, None])
        count += shows
    return values, _FINE, count


def _scale(values: NDArray[np.unsignedinteger], scale: NDArray[np.int64]) -> None:
    """Multiplies uint [h, w, 3] by int [h, w] in place."""
    if (scale == 1).all():
        return
    factors = scale.astype(values.dtype)
    for channel in range(3):
        values[:, :, channel] *= factors


@dataclass(frozen=True)
class _Moments:
    """Sums over crops, float64 [h, w, 3] each: of values by weight, of values, of their squares."""

    weighted: NDArray[np.float64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]

    @staticmethod
    def over_crops(values: NDArray[np.unsignedinteger], weights: NDArray[np.float64]) -> _Moments:
        """Of uint [N, h, w, 3], by bands of pixels that stay in the cache while all their sums are taken."""
        n = len(values)
        flat = values.reshape(n, -1)
        high, low = _split(weights, int(np.iinfo(values.dtype).max))
        ones = np.ones(n)
        sums = np.empty((3, flat.shape[1]))
        width = max(_BAND_VALUES // n, 1)
        band = np.empty((n, width))
        for start in range(0, flat.shape[1], width):
            of_band = flat[:, start : start + width]
            x = band[:, : of_band.shape[1]]
            x[...] = of_band
            weighted, total, squares = sums[:, start : start + width]
            weighted[...] = high @ x + low @ x
            total[...] = ones @ x
            np.multiply(x, x, out=x)
            squares[...] = ones @ x
        return _Moments(*sums.reshape(3, *values.shape[1:]))


def _split(weights: NDArray[np.float64], largest: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``weights = high + low``, each so short that its sums of products with values up to `largest` are exact."""
    bits = max(_MANTISSA - largest.bit_length() - len(weights).bit_length(), 0)
    high = _rounded(weights, bits)
    return high, _rounded(weights - high, _MANTISSA)


def _rounded(numbers: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """To multiples of ``2 ** -bits``."""
    return np.ldexp(np.rint(np.ldexp(numbers, bits)), -bits)


def _deviation(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square over channels, from variances float64 [h, w, 3]."""
    return np.sqrt(np.maximum(variance, 0).mean(axis=2))
