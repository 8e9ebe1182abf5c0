"""The effective receptive field: the part of the theoretical one that has most of the gradient.

Luo, Li, Urtasun, Zemel: Understanding the effective receptive field in deep convolutional neural networks, NIPS 2016.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.network.network import Network
from raysel.neurons import AxisField, ReceptiveField, Tap

IMAGES = 64
_BATCH = 8


def effective_receptive_fields(
    network: Network, pixels: torch.Tensor | None = None, share: float = 0.95, seed: int = 0
) -> tuple[ReceptiveField, ...]:
    """Per tap, the smallest centered square with `share` of the squared gradient of the map's center position.

    Random signs s sum the squared gradients g of all channels in one backward pass: for signs with mean 0, the mean of
    ``(sum_i s_i g_i)^2`` is ``sum_i g_i^2``.

    Args:
        network: on any device.
        pixels: uint8 [n, H, W, 3], the images to average over; by default 64 images of seeded noise.
        share: share of the sum of the squared gradient, 0 to 1.
        seed: seed of the noise and the signs.

    Returns:
        One field per tap, not exact; none is larger than the theoretical one.
    """
    generator = torch.Generator().manual_seed(seed)
    if pixels is None:
        size = network.preprocessing.input_size
        pixels = torch.randint(0, 256, (IMAGES, *size, 3), dtype=torch.uint8, generator=generator)
    energy = [np.zeros(tap.receptive_field.input_size) for tap in network.taps]
    for batch in pixels.split(_BATCH):
        for k, added in enumerate(_squared_gradients(network, batch, generator)):
            energy[k] += added
    return tuple(_smallest(tap, total, share) for tap, total in zip(network.taps, energy, strict=True))


def _squared_gradients(network: Network, pixels: torch.Tensor, generator: torch.Generator) -> list[NDArray[np.float64]]:
    """Per tap, float64 [H, W], summed over the batch and the input's colors."""
    readings: list[torch.Tensor] = []

    def read_center(_tap: int, map_: torch.Tensor) -> None:
        center = map_[:, :, map_.shape[2] // 2, map_.shape[3] // 2]
        signs = torch.randint(0, 2, center.shape, generator=generator) * 2 - 1
        readings.append((center * signs.to(center)).sum())

    with torch.enable_grad():
        inputs = network.normalize(pixels).requires_grad_()
        network.forward(inputs, read_center)
        gradients = (torch.autograd.grad(reading, inputs, retain_graph=True)[0] for reading in readings)
        return [gradient.double().square().sum(dim=(0, 1)).cpu().numpy() for gradient in gradients]


def _smallest(tap: Tap, energy: NDArray[np.float64], share: float) -> ReceptiveField:
    """The smallest square around the center position's own center; the theoretical field if all gradients are 0."""
    theory = replace(tap.receptive_field, bound=f"{share:.0%} of the squared gradient")
    total = energy.sum()
    if not total > 0:
        return theory
    grids = [_grid(*axis) for axis in zip((theory.rows, theory.columns), tap.map_size, strict=True)]
    centers = [first + stride * (n // 2) for (stride, first), n in zip(grids, tap.map_size, strict=True)]
    sums = np.pad(energy, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    smallest = 2 if (2 * centers[0]) % 2 == 1 else 1  # the center is between two pixels, or on one
    for size in range(smallest, min(theory.size, max(energy.shape)) + 1, 2):
        top, left = (floor(center - Fraction(size - 1, 2)) for center in centers)
        rows = np.clip([top, top + size], 0, energy.shape[0])
        columns = np.clip([left, left + size], 0, energy.shape[1])
        corners = sums[np.ix_(rows, columns)]
        if corners[1, 1] - corners[0, 1] - corners[1, 0] + corners[0, 0] >= share * total:
            axes = zip(grids, energy.shape, strict=True)
            own = [AxisField(size, stride, first - Fraction(size - 1, 2), n) for (stride, first), n in axes]
            return ReceptiveField(own[0], own[1], theory.bound)
    return theory


def _grid(theory: AxisField, positions: int) -> tuple[Fraction, Fraction]:
    """Stride and the first position's center, in pixels; positions that all see everything are spread evenly."""
    if theory.stride > 0:
        return theory.stride, theory.offset + Fraction(theory.size - 1, 2)
    stride = Fraction(theory.length, positions)
    return stride, (stride - 1) / 2
