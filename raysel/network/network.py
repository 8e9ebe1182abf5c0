"""A network with its taps: pixels in, one map per tap out."""

from __future__ import annotations

import torch

from raysel.config import Preprocessing
from raysel.network.forward import Forward, Visit, computing_in
from raysel.network.preprocessing import Normalization
from raysel.neurons import Tap


class Network:
    """A loaded network; see `raysel.network.load`.

    Attributes:
        name: as in the configuration.
        preprocessing: from an image file to the network's input.
        taps: in the order of the graph.
        weights_digest: sha256 (hex) over names, dtypes, shapes and bytes of the state dict, in order of the names, and
            over the average image if preprocessing names one.
        graph_digest: sha256 (hex) over the operations up to the last tap with their settings, in which networks with
            the same weights may differ.
        dtype: precision of `run`, as in `raysel.config.NetworkConfig`.
        notes: what the user should know about what is read, a line each.
    """

    def __init__(
        self,
        name: str,
        preprocessing: Preprocessing,
        taps: tuple[Tap, ...],
        weights_digest: str,
        forward: Forward,
        normalize: Normalization,
        dtype: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing
        self.taps = taps
        self.weights_digest = weights_digest
        self.graph_digest = forward.digest
        self._forward = forward
        self._normalize = normalize
        self.dtype = dtype
        self.notes = notes

    def to(self, device: str) -> Network:
        """Moves the weights to `device` (``cpu``, ``cuda``, ``cuda:1``); returns the same network."""
        self._forward.to(device)
        self._normalize.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._normalize.device

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, 3] RGB to the network's input, float32 [B, 3, H, W] on its device."""
        return self._normalize(pixels)

    def forward(self, inputs: torch.Tensor, visit: Visit) -> None:
        """Like `run`, but for normalized images, in float32, and with gradients if the caller has enabled them."""
        self._forward(inputs, visit)

    def run(self, pixels: torch.Tensor, visit: Visit) -> None:
        """Runs a batch up to the last tap.

        Args:
            pixels: uint8 [B, H, W, 3], RGB, of the preprocessing's input size, on any device.
            visit: called once per tap, as soon as the tap is computed, with its number in `taps` and its map, float32
                [B, C, h, w] on the network's device (it may be bfloat16 with ``bf16``); a vector comes as
                [B, C, 1, 1]. Later operations may overwrite the map's memory, so `visit` must not keep a reference to
                it.
        """
        with torch.inference_mode(), computing_in(self.dtype, self.device.type):
            self.forward(self.normalize(pixels), visit)
