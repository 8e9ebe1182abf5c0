"""A network with its output layer: pixels in, a score per class out."""

from __future__ import annotations

from typing import Any

import torch

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.files import redact_uri
from raysel.network.forward import computing_in
from raysel.network.importers.registry import import_network
from raysel.network.preprocessing import Normalization, with_average_image
from raysel.network.weights import digest


class Classifier:
    """The whole network that a configuration names, on one device.

    Attributes:
        preprocessing: from an image file to the network's input.
        weights_digest: as in `raysel.network.Network`.
        outputs: number of classes.
        names: names of the outputs, if the network's origin has them.
    """

    def __init__(self, config: NetworkConfig, device: str = "cpu") -> None:
        """Load the network.

        Raises:
            RayselError: as in `raysel.network.load`, or the network's output is not a score per class.
        """
        imported, self._shown = import_network(config), redact_uri(config.network)
        self.preprocessing, average_image = with_average_image(config.preprocessing or imported.preprocessing)
        self.weights_digest = digest(imported.module, average_image)
        self._module = imported.module.to(device)
        self._normalize = Normalization(self.preprocessing, average_image)
        self._normalize.to(device)
        self._dtype = config.dtype
        height, width = self.preprocessing.input_size
        self.outputs = self.scores(torch.zeros(2, height, width, 3, dtype=torch.uint8)).shape[1]
        self.names = imported.classes if len(imported.classes) == self.outputs else ()

    def scores(self, pixels: torch.Tensor) -> torch.Tensor:
        """Larger is more likely.

        Args:
            pixels: uint8 [B, H, W, 3], RGB, of the preprocessing's input size.

        Returns:
            float32 [B, classes], on the CPU.

        Raises:
            RayselError: the network's output is not a score per class.
        """
        with torch.inference_mode(), computing_in(self._dtype, self._normalize.device.type):
            output: Any = self._module(self._normalize(pixels))
        output = getattr(output, "logits", output)
        if isinstance(output, (tuple, list)) and output:
            output = output[0]
        if not isinstance(output, torch.Tensor) or output.ndim < 2 or output[0, :].numel() != output.shape[1]:
            shape = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise RayselError(f"{self._shown} is not a classifier: it returns {shape}, not [images, classes]")
        return output.flatten(1).float().cpu()
