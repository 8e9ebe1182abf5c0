"""Images as other tools want them: a normalized tensor and a label; and the times of their batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from raysel.bench.contenders.hook_loop import read_modules
from raysel.bench.scan_job import BareNetwork, ImageFiles, ScanJob
from raysel.network import load


@dataclass(frozen=True)
class PeerImages:
    """A dataset whose items are (float32 [3, H, W], 0)."""

    files: ImageFiles
    normalize: Callable[[torch.Tensor], torch.Tensor]
    name: str = "images"

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.normalize(torch.from_numpy(self.files[int(number)].copy())[None])[0].contiguous(), 0


def prepared(job: ScanJob) -> tuple[PeerImages, BareNetwork, list[str], list[tuple[float, int]]]:
    """The dataset, the network, the modules at which raysel's layers are read, and a list that every forward of the
    network adds its time and number of images to.

    Tools with hooks fail on activations that write over their inputs, so these do not.
    """
    torch.set_num_threads(job.cores)
    files, bare = job.images(), job.bare
    for child in bare.module.modules():
        if getattr(child, "inplace", False):
            child.inplace = False  # type: ignore[assignment]
    layers = [tap.layer for tap in load(job.network).taps]
    images = PeerImages(files, bare.normalize)
    modules = read_modules(bare.module, layers, images[0][0][None])
    results: list[tuple[float, int]] = []

    def note(_module: nn.Module, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
        results.append((time.monotonic(), len(inputs[0])))

    bare.module.register_forward_hook(note)
    return images, bare, [modules[layer] for layer in layers], results
