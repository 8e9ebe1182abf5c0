"""Pixels in, activations or candidates out: the forward passes of a scan, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.network import Network, peaks
from raysel.network.uploads import device_batches
from raysel.neurons import Candidates, activations_of, entering, first_neurons


class Forwarded(NamedTuple):
    """What a forward found in its images."""

    images: slice
    """Rows of the pixels."""
    activations: torch.Tensor
    """float32 [images, neurons], on the network's device."""
    positions: torch.Tensor
    """int32 [images, neurons], on the network's device."""


def forwards(network: Network, pixels: NDArray[np.uint8], batch: int) -> Iterator[Forwarded]:
    """Run a network over images. On a GPU nothing waits for a forward but what the caller does with it.

    Every forward has the same shape, `batch` images, and a short one is padded: the activations of an image do not
    depend on its place in a batch.

    Args:
        network: on any device.
        pixels: uint8 [images, H, W, 3], RGB as decoded.
        batch: images in one forward.
    """
    unvisited = [tap.channels for tap in network.taps]
    batches = device_batches(pixels, batch, network.device)
    ahead = next(batches, None)
    while ahead is not None:
        images, inputs = ahead
        count = images.stop - images.start
        found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

        def keep_peaks(tap: int, maps: torch.Tensor, count: int = count, found: dict = found) -> None:
            found[tap] = peaks(maps[:count])

        network.run(inputs, keep_peaks)
        ahead = next(batches, None)
        for tap, channels in enumerate(unvisited):
            if tap not in found:
                nothing = torch.full((count, channels), -torch.inf, device=network.device)
                found[tap] = nothing, torch.zeros_like(nothing, dtype=torch.int32)
        activations, positions = zip(*(found[tap] for tap in range(len(unvisited))), strict=True)
        yield Forwarded(images, torch.cat(activations, dim=1), torch.cat(positions, dim=1))


def extract_activations(
    network: Network, pixels: NDArray[np.uint8], batch: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Run a network over images; return every neuron's activation and its position.

    Args:
        network: on any device.
        pixels: uint8 [images, H, W, 3], RGB as decoded.
        batch: images in one forward.

    Returns:
        (float32 [images, neurons], int32 [images, neurons]: ``row * columns + column`` on the tap's map). The
        activation is -inf, which does not rank, if the network did not visit the tap.
    """
    activations = np.empty((len(pixels), first_neurons(network.taps)[-1]), np.float32)
    positions = np.empty(activations.shape, np.int32)
    for each in forwards(network, pixels, batch):
        activations[each.images] = each.activations.cpu().numpy()
        positions[each.images] = each.positions.cpu().numpy()
    return activations, positions


def find_candidates(
    network: Network,
    pixels: NDArray[np.uint8],
    ids: NDArray[np.integer],
    batch: int,
    cutoffs: NDArray[np.uint64],
) -> Candidates:
    """Run a network over images; return the activations that may enter their neuron's ranking.

    What is far behind its cutoff never leaves the network's device, and each forward's candidates leave it together.

    Args:
        network: on any device.
        pixels: uint8 [images, H, W, 3], RGB as decoded.
        ids: image ids [images].
        batch: images in one forward.
        cutoffs: uint64 [neurons], see `raysel.neurons.Rankings.cutoffs`. Those of an earlier state are safe: they let
            more pass.
    """
    # Equal activations may pass: ties are broken by the image, by `entering`.
    least = torch.from_numpy(activations_of(cutoffs)).to(network.device)
    found = []
    for each in forwards(network, pixels, batch):
        activations = each.activations
        passing = (activations >= least) & (activations > 0) & (activations < torch.inf)
        place = passing.flatten().nonzero().squeeze(1)
        values = (values.flatten().index_select(0, place) for values in (activations.view(torch.int32), each.positions))
        sent = to_host(torch.stack([place.int(), *values]))
        image, neuron = np.divmod(sent[0], np.int32(len(cutoffs)))
        found.append(entering(neuron, sent[1].view(np.float32), sent[2], ids[each.images][image], cutoffs))
    return Candidates.concatenate(found)


def to_host(values: torch.Tensor) -> NDArray:
    """The one transfer of a forward's candidates from the network's device."""
    host: NDArray = values.cpu().numpy()
    return host
