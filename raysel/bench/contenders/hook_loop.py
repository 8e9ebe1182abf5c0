"""What one would write by hand: a DataLoader, forward hooks, maximum with argmax, and top-k. Batch 32."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from raysel.bench.contenders.image_batches import image_batches
from raysel.bench.contenders.report import Report
from raysel.bench.scan_job import TOP, ScanJob
from raysel.bench.scores import Top
from raysel.network import computing_in, load

_BATCH = 32


class TopImages:
    """The top images of one layer's channels, with positions."""

    def __init__(self) -> None:
        self.values, self.images, self.positions = torch.empty(0), torch.empty(0), torch.empty(0)

    def add(self, maps: torch.Tensor, ids: torch.Tensor) -> None:
        """Takes the maps of a batch, [B, C, h, w], of the images `ids`, int64 [B]."""
        values, positions = maps.flatten(2).max(dim=2)
        images = ids[:, None].expand_as(values)
        if len(self.values):
            values = torch.cat([self.values, values])
            images, positions = torch.cat([self.images, images]), torch.cat([self.positions, positions])
        self.values, kept = values.topk(min(TOP, len(values)), dim=0)
        self.images, self.positions = images.gather(0, kept), positions.gather(0, kept)

    def top(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and activations, [C, `TOP`]; the id is -1 where the activation is not positive."""
        ids, missing = self.images.masked_fill(self.values <= 0, -1).T, (0, TOP - len(self.values))
        return nn.functional.pad(ids, missing, value=-1), nn.functional.pad(self.values.T, missing)


def run(job: ScanJob, _settings: dict[str, Any], _work: Path) -> Report:
    """See `raysel.bench.contenders.report.Contender`. PyTorch has all cores' threads, as it does by default."""
    torch.set_num_threads(job.cores)
    layers = [tap.layer for tap in load(job.network).taps]
    files, bare = job.images(), job.bare
    ids = torch.empty(0)
    tops = {layer: TopImages() for layer in layers}
    modules = read_modules(bare.module, layers, bare.normalize(torch.from_numpy(files[0][None])).contiguous())

    def keep(layer: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: tops[layer].add(output, ids)

    for layer in layers:
        bare.module.get_submodule(modules[layer]).register_forward_hook(keep(layer))
    results, done = [], 0
    with torch.inference_mode(), computing_in(job.network.dtype, job.device):
        for pixels in image_batches(files, _BATCH, job.cores, pinned=bool(job.gpus)):
            ids = torch.arange(done, done + len(pixels), device=job.device)
            bare.module(bare.normalize(pixels).contiguous())
            done += len(pixels)
            if job.gpus:
                torch.cuda.synchronize()
            results.append((time.monotonic(), len(pixels)))
    images, activations = zip(*(tops[layer].top() for layer in layers), strict=True)
    top = Top(torch.cat(images).cpu().numpy(), torch.cat(activations).float().cpu().numpy())
    settings = {"batch": _BATCH, "threads": job.cores, "workers": job.cores}
    return Report(results, settings=settings, top=top)


def read_modules(module: nn.Module, layers: list[str], image: torch.Tensor) -> dict[str, str]:
    """Where the layers are read: convolution -> itself, or the batch norm that follows it.

    A ReLU changes no positive maximum, so it makes no difference for the ranking.
    """
    after: dict[int, str] = {}
    found = {layer: layer for layer in layers}
    kept: list[torch.Tensor] = []  # keeps their ids unique

    def see(name: str) -> Callable[..., None]:
        def hook(child: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if name in found:
                after[id(output)] = name
                kept.append(output)
            elif isinstance(child, nn.BatchNorm2d) and id(inputs[0]) in after:
                found[after[id(inputs[0])]] = name

        return hook

    children = [(name, child) for name, child in module.named_modules() if not any(child.children())]
    handles = [child.register_forward_hook(see(name)) for name, child in children]
    with torch.inference_mode():
        module(image)
    for handle in handles:
        handle.remove()
    return found
