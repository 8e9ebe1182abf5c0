"""Maps of a network as `Network.run` shows them, and as a plain forward with hooks computes them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from raysel.network import Network


def pixels(network: Network, batch: int, seed: int = 0) -> torch.Tensor:
    """Random images of the network's input size."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, *network.preprocessing.input_size, 3), dtype=torch.uint8, generator=generator)


def maps(network: Network, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """All maps of a run by layer, copied in the visit."""
    seen: dict[str, torch.Tensor] = {}
    network.run(images, lambda tap, map_: seen.__setitem__(network.taps[tap].layer, map_.clone()))
    assert list(seen) == [tap.layer for tap in network.taps]
    for tap in network.taps:
        assert seen[tap.layer].shape == (len(images), tap.channels, *tap.map_size)
    return seen


def plain(module: nn.Module, images: torch.Tensor, network: Network) -> dict[str, torch.Tensor]:
    """Outputs of all modules in a plain forward, with preprocessing in float64."""
    p = network.preprocessing
    inputs = (images.double() * p.scale - torch.tensor(p.mean, dtype=torch.float64)) / torch.tensor(p.std)
    if p.channel_order == "BGR":
        inputs = inputs[..., [2, 1, 0]]
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: outputs.__setitem__(name, output.clone())

    for name, child in module.named_modules():
        child.register_forward_hook(keep(name))
    module.eval()
    with torch.no_grad():
        module(inputs.permute(0, 3, 1, 2).float().contiguous())
    return outputs


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal to 1e-5 of the largest expected value, which must not be 0."""
    scale = expected.abs().max().item()
    assert scale > 0
    assert (actual - expected).abs().max().item() <= 1e-5 * scale


class CountedOperations(TorchDispatchMode):
    """How often each operation is called inside of the context."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))
