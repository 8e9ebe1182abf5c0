"""Local receptive fields: without the channel gates and norms through which every position sees the whole image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from raysel.config import NetworkConfig
from raysel.network import Network, load
from raysel.network.graph.tracing import trace
from raysel.network.receptive_field.gates import LOCAL
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.neurons import Tap
from tests.network.receptive_field.gradient import Probe, assert_seen, positive
from tests.network.receptive_field.test_rules import Function

SIZE = (24, 30)
Gate = Callable[[torch.Tensor], torch.Tensor]


class Gated(nn.Module):
    """A gate between two convolutions."""

    def __init__(self, gate: Gate | nn.Module) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 8, 3, 2, 1)
        self.gate = gate if isinstance(gate, nn.Module) else Function(gate)
        self.after = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.gate(self.before(x)))


class SqueezeAndExcitation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
        return x * scale.view(-1, 8, 1, 1).expand_as(x)


def response(x: torch.Tensor) -> torch.Tensor:
    return x.norm(p=2, dim=(2, 3), keepdim=True)


GATES: dict[str, Gate | nn.Module] = {
    "squeeze and excitation": SqueezeAndExcitation(),
    "a gate of one convolution": lambda x: torch.sigmoid(nn.functional.adaptive_avg_pool2d(x, 1)) * x,
    "group norm": nn.GroupNorm(2, 8),
    "a norm that is written out": lambda x: (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True),
    "global response norm": lambda x: x + x * response(x) / response(x).mean(1, keepdim=True),
}


@pytest.mark.parametrize("name", GATES)
def test_a_local_field_is_that_of_the_network_without_gates(name: str) -> None:
    module = Gated(GATES[name]).eval()
    traced = trace(module, SIZE)
    (output,) = (node for node in traced.module.graph.nodes if node.op == "output")
    (node,) = output.all_input_nodes
    theory = TensorReceptiveFields(traced, SIZE).receptive_field(node)
    field = TensorReceptiveFields(traced, SIZE, local=True).receptive_field(node)
    assert theory.whole
    assert field.bound == LOCAL
    assert_seen(Probe(positive(Gated(nn.Identity())), SIZE), "after", field)


def test_what_is_no_gate_stays_in_the_path() -> None:
    def attended(x: torch.Tensor) -> torch.Tensor:
        return x + x.flatten(2).softmax(-1).view_as(x)

    for operation in (attended, lambda x: x + x.mean((2, 3), keepdim=True), lambda x: x.mean((2, 3)) * x.amax((2, 3))):
        traced = trace(Function(operation), SIZE)
        (output,) = (node for node in traced.module.graph.nodes if node.op == "output")
        field = TensorReceptiveFields(traced, SIZE, local=True).receptive_field(output.all_input_nodes[0])
        assert field.whole
        assert field.exact


@pytest.fixture(scope="module")
def network() -> Network:
    return load(NetworkConfig(network="torchvision:mobilenet_v3_small", weights="random", layers=("*", "*.fc?")))


def tap(network: Network, layer: str) -> Tap:
    return next(tap for tap in network.taps if tap.layer == layer)


def test_auto_is_local_only_where_gates_make_the_field_the_whole_image(network: Network) -> None:
    """MobileNetV3-small: a stem of 3 px with stride 2, then depthwise kernels of 3 px with strides 2, 2 and 1."""
    before, gate, behind = (
        tap(network, f"features.{name}") for name in ("1.block.0.0", "1.block.1.fc1", "3.block.1.0")
    )
    assert before.crop_field("auto") is before.crop_field("local") is before.receptive_field
    assert before.receptive_field.size == 7
    assert gate.crop_field("auto") is gate.receptive_field
    assert gate.receptive_field.whole
    assert behind.receptive_field.whole
    assert behind.crop_field("theoretical") is behind.receptive_field
    assert behind.crop_field("auto") is behind.crop_field("local")
    assert (behind.crop_field("auto").size, behind.crop_field("auto").rows.stride) == (31, 8)
    assert behind.crop_field("auto").bound == LOCAL
    deep = [tap.layer for tap in network.taps if tap.crop_field("auto").fixed and tap.map_size != (1, 1)]
    assert all(layer.split(".")[1] in ("7", "8", "9", "10", "11", "12") for layer in deep)


def test_there_is_no_local_field_without_gates() -> None:
    taps = load(NetworkConfig(network="torchvision:resnet18", weights="random", layers=("*",))).taps
    assert all(tap.local is None for tap in taps)
