"""A network with its taps: pixels in, one map per tap out, in the order of the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from numpy.typing import NDArray

from raysel.config import Preprocessing
from raysel.network.normalize import Normalize
from raysel.neurons import ReceptiveField

Visit = Callable[[int, torch.Tensor], None]
"""Called with a tap's number and its map, float32[B, C, h, w]."""


@dataclass(frozen=True)
class Tap:
    """A place of the network that is read; each of its channels is a neuron."""

    layer: str
    """Name of the module: of the convolution, or of what was named instead. A module's second call is ``name#2``."""
    channels: int
    map_size: tuple[int, int]
    """(rows, columns) of its map; (1, 1) for a fully connected layer."""
    receptive_field: ReceptiveField
    reading: str
    """Where the map is read, for people: ``relu``, ``batch norm + silu``, ``convolution``."""
    depth: int
    """How many convolutions come before this one in the graph, chosen or not."""


class Forward(Protocol):
    """Runs a network up to its last tap."""

    @property
    def digest(self) -> str:
        """sha256 (hex) of what it computes, the weights not counted."""

    def to(self, device: str) -> None:
        """Moves the weights."""

    def __call__(self, inputs: torch.Tensor, visit: Visit) -> None:
        """Runs float32[B, 3, H, W] (normalised) and hands each tap's map to `visit` as soon as it is there."""


class Network:
    """A loaded network; see `raysel.network.load`.

    Attributes:
        name: as it was asked for.
        preprocessing: from an image file to the network's input.
        taps: the chosen taps, in the order of the graph.
        weights_digest: sha256 (hex) over names, dtypes, shapes and bytes of the state dict, in order of the names; and
            of the average image, if preprocessing names one.
        graph_digest: sha256 (hex) over the operations up to the last tap, with their settings: what tells networks of
            the same weights apart.
        classes: names of the network's outputs, where its source has them.
    """

    def __init__(
        self,
        name: str,
        preprocessing: Preprocessing,
        taps: tuple[Tap, ...],
        weights_digest: str,
        forward: Forward,
        classes: tuple[str, ...] = (),
        average: NDArray | None = None,
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing
        self.taps = taps
        self.weights_digest = weights_digest
        self.graph_digest = forward.digest
        self.classes = classes
        self._forward = forward
        self._normalize = Normalize(preprocessing, average)

    def to(self, device: str) -> Network:
        """Moves the weights to `device` (``cpu``, ``cuda``, ``cuda:1``); returns the same network."""
        self._forward.to(device)
        self._normalize.to(device)
        return self

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8[B, H, W, 3] RGB to the network's input, float32[B, 3, H, W] on its device."""
        return self._normalize(pixels)

    def forward(self, inputs: torch.Tensor, visit: Visit) -> None:
        """As `run`, from the network's input on; with gradients where the caller has them on."""
        self._forward(inputs, visit)

    def run(self, pixels: torch.Tensor, visit: Visit) -> None:
        """Runs a batch up to the last tap.

        Args:
            pixels: uint8[B, H, W, 3], RGB as decoded, H and W the preprocessing's input size, on any device.
            visit: called once per tap with its number in `taps` and its map, float32[B, C, h, w] on the network's
                device (a 2-d output comes as [B, C, 1, 1]), the moment the tap has been computed. A later operation may
                write into the same memory: take what is needed before returning, keep no reference.
        """
        with torch.inference_mode():
            self.forward(self.normalize(pixels), visit)
