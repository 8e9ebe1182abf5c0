"""What the contenders of ``raysel bench scan`` do: the same images through the same network on the same cores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import nn

from raysel.config import NetworkConfig, Preprocessing, SourceConfig
from raysel.errors import BadImageError, RayselError
from raysel.images import ImagesList, Source, decode, open_source, select_shards, subset
from raysel.network.importers.registry import import_network
from raysel.network.preprocessing import Normalization, with_average_image

TOP = 100
"""Images per neuron that contenders rank, and that are compared."""


@dataclass(frozen=True)
class ScanJob:
    """One scan for every contender."""

    network: NetworkConfig
    source: SourceConfig
    cores: int
    """Cores that a contender may keep busy."""
    batch: int | None
    """Images in a forward of raysel; None: its own choice."""
    gpus: int = 0

    def to_json(self) -> str:
        """As text, for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ScanJob:
        """The inverse of `to_json`."""
        return TypeAdapter(cls).validate_python(json.loads(text))

    @property
    def device(self) -> str:
        """``cuda`` if there are GPUs to use, else ``cpu``."""
        return "cuda" if self.gpus else "cpu"

    def images(self) -> ImageFiles:
        """The images, listed anew."""
        options = self.source
        source = open_source(options.images, options.kind, options.uri_column, options.label_column)
        names = select_shards(source.shard_names(), options.shards)
        listed = ImagesList.build(source, [source.walk(name) for name in names])
        return ImageFiles(source, subset(listed, options.limit, options.sample), self.bare.preprocessing)

    @cached_property
    def bare(self) -> BareNetwork:
        """The network without raysel: the module as its origin gives it."""
        imported = import_network(self.network)
        preprocessing, average = with_average_image(self.network.preprocessing or imported.preprocessing)
        normalize = Normalization(preprocessing, average)
        normalize.to(self.device)
        module = imported.module.eval().requires_grad_(False).to(self.device)
        return BareNetwork(module, preprocessing, normalize)


@dataclass(frozen=True)
class BareNetwork:
    """A module with what is needed to feed it."""

    module: nn.Module
    preprocessing: Preprocessing
    normalize: Callable[[torch.Tensor], torch.Tensor]
    """uint8 [B, H, W, 3] to float32 [B, 3, H, W], channels last in memory, on the module's device."""


@dataclass(frozen=True)
class ImageFiles:
    """The images as a dataset of PyTorch; an item is the image as the network sees it, uint8 [H, W, 3].

    A bad image is black.
    """

    source: Source
    listed: ImagesList
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.listed.images)

    def __getitem__(self, number: int) -> NDArray:
        return self.decoded(self.content(number))

    def decoded(self, content: bytes) -> NDArray:
        """The image in a file with this content, as an item."""
        try:
            return decode(content, self.preprocessing)
        except BadImageError:
            return np.zeros((*self.preprocessing.input_size, 3), np.uint8)

    def content(self, number: int) -> bytes:
        """The bytes of an image's file.

        Raises:
            RayselError: the source does not deliver them.
        """
        row = self.listed.images.slice(number, 1)
        shard = self.listed.shards.slice(row["shard"][0].as_py(), 1).to_pylist()[0]
        for content in self.source.read(shard["name"], row.select(["key", "offset", "length"]), shard["etag"]):
            return content
        raise RayselError(f"{row['key'][0].as_py()} was listed but is not delivered: run again")
