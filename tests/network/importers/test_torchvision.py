"""All convolutional classification networks of torchvision are traced, and tapped at all their convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import Network, load
from raysel.network.graph.tracing import trace
from raysel.network.importers import torchvision as torchvision_networks
from raysel.network.importers.registry import import_network
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.network.taps import find_tap_points
from tests.network.maps import assert_close, maps, pixels, plain
from tests.network.receptive_field.gradient import Probe, assert_seen, positive

# Family: its smallest network, and whether it has squeeze-and-excitation.
FAMILIES = {
    "alexnet": ("alexnet", False),
    "convnext": ("convnext_tiny", False),
    "densenet": ("densenet121", False),
    "efficientnet_b": ("efficientnet_b0", True),
    "efficientnet_v2": ("efficientnet_v2_s", True),
    "googlenet": ("googlenet", False),
    "inception": ("inception_v3", False),
    "maxvit": ("maxvit_t", True),
    "mnasnet": ("mnasnet0_5", False),
    "mobilenet_v2": ("mobilenet_v2", False),
    "mobilenet_v3": ("mobilenet_v3_small", True),
    "regnet_x": ("regnet_x_400mf", False),
    "regnet_y": ("regnet_y_400mf", True),
    "resnet": ("resnet18", False),
    "resnext": ("resnext50_32x4d", False),
    "shufflenet": ("shufflenet_v2_x0_5", False),
    "squeezenet": ("squeezenet1_0", False),
    "vgg": ("vgg11", False),
    "wide_resnet": ("wide_resnet50_2", False),
}
TRANSFORMERS = ("vit", "swin")
NAMES = [name for name in torchvision_networks.names() if not name.startswith(TRANSFORMERS)]


def family(name: str) -> str:
    return max((known for known in FAMILIES if name.startswith(known)), key=len)


def test_no_family_is_missing() -> None:
    assert {family(name) for name in NAMES} == set(FAMILIES)
    assert len(NAMES) > 60


def without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives modules weights without values."""

    def on_meta(register: Any) -> Any:
        def register_on_meta(self: nn.Module, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
            register(self, name, value if value is None else type(value)(value.to("meta")), *args, **kwargs)

        return register_on_meta

    for kind in ("register_parameter", "register_buffer"):
        monkeypatch.setattr(nn.Module, kind, on_meta(getattr(nn.Module, kind)))


@pytest.mark.parametrize("name", NAMES)
def test_taps_and_fields(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_values(monkeypatch)  # some networks have gigabytes of weights
    module = torchvision_networks.build(name, {}, None)
    size = torchvision_networks.preprocessing(name, None).input_size
    traced = trace(module, size)
    fields = TensorReceptiveFields(traced, size)
    places, note = find_tap_points(traced, ("*",), "activation", fields.channels_dim)
    convolutions = {key: child for key, child in module.named_modules() if isinstance(child, nn.Conv2d)}
    blocks = [key for key, child in module.named_modules() if isinstance(child, SqueezeExcitation)]
    gates = {f"{block}.{each}" for block in blocks for each in ("fc1", "fc2")}
    assert {place.layer for place in places} == set(convolutions) - gates
    assert not gates or f"left out ({len(gates)})" in (note or "")
    assert bool(gates) == bool(note) == FAMILIES[family(name)][1]
    for place in places:
        shape = traced.tensor_shape(place.node)
        assert shape is not None
        assert shape[place.channels_dim] == convolutions[place.layer].out_channels
        assert fields.receptive_field(place.node).exact
    assert places[0].node.name
    first = convolutions[places[0].layer].kernel_size[0]
    assert fields.receptive_field(places[0].node).size == first


# Araujo, Norris, Sim, Distill 2019, and by hand for ResNet with its stride in the 3 x 3 convolution.
@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("inception_v3", "Mixed_7c.branch3x3dbl_3b.conv", 1311),
        ("vgg16", "features.28", 196),
        ("mobilenet_v2", "features.18.0", 491),
        ("alexnet", "features.10", 163),
    ],
)
def test_fields_in_the_literature(name: str, layer: str, size: int) -> None:
    taps = load(NetworkConfig(network=f"torchvision:{name}", weights="random", layers=("*",))).taps
    assert max(tap.receptive_field.size for tap in taps) == size
    assert next(tap for tap in taps if tap.layer == layer).receptive_field.size == size


@dataclass(frozen=True)
class Loaded:
    """A family's smallest network in raysel and in torchvision."""

    network: Network
    module: nn.Module


@pytest.fixture(scope="module", params=[name for name, _ in FAMILIES.values() if name != "maxvit_t"])
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """Untrained, for 96 x 96 pixels, without the fully connected layers, which these tests do not need."""
    preprocessing = Preprocessing(resize=(96, 96), crop=None)
    config = NetworkConfig(
        network=f"torchvision:{request.param}", weights="random", preprocessing=preprocessing, tap="convolution"
    )
    module = import_network(config).module
    for parent in list(module.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, key, nn.Identity())
    return Loaded(load(config), module)


def test_fields_against_gradients(loaded: Loaded) -> None:
    network, module = loaded.network, loaded.module
    probe = Probe(positive(module), (96, 96))
    step = max(1, len(network.taps) // 5)
    for tap in network.taps[::step]:
        assert_seen(probe, tap.layer, tap.receptive_field)


def test_maps_against_a_plain_forward(loaded: Loaded) -> None:
    network = loaded.network
    images = pixels(network, 2)
    expected = plain(loaded.module, images, network)
    for layer, actual in maps(network, images).items():
        assert torch.isfinite(actual).all()
        assert_close(actual, expected[layer])


@pytest.mark.parametrize(
    ("name", "resize", "crop", "interpolation"),
    [
        ("squeezenet1_1", 256, 224, "bilinear"),
        ("resnet50", 232, 224, "bilinear"),  # its default weights, IMAGENET1K_V2
        ("inception_v3", 342, 299, "bilinear"),
        ("efficientnet_b0", 256, 224, "bicubic"),
    ],
)
def test_preprocessing_of_torchvision(name: str, resize: int, crop: int, interpolation: Any) -> None:
    preprocessing = import_network(NetworkConfig(network=f"torchvision:{name}", weights="random")).preprocessing
    assert preprocessing == Preprocessing(resize=resize, crop=(crop, crop), interpolation=interpolation)


@pytest.mark.parametrize("heads", [False, True])
def test_googlenet_as_published(tmp_path: Path, heads: bool) -> None:
    """The published file has auxiliary heads, and its network was trained on another range of input."""
    from torchvision import models

    module = models.googlenet(weights=None, aux_logits=heads, init_weights=False)
    torch.save(module.state_dict(), tmp_path / "w.pth")
    config = NetworkConfig(network="torchvision:googlenet", weights=str(tmp_path / "w.pth"))
    loaded_module: Any = import_network(config).module
    assert loaded_module.transform_input
    assert loaded_module.aux_logits == heads


def test_old_densenet_files(tmp_path: Path) -> None:
    from torchvision import models

    new = models.densenet121(weights=None).state_dict()
    old = {}
    for key, tensor in new.items():
        for part in ("norm1", "conv1", "norm2", "conv2"):
            if "denselayer" in key:
                key = key.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
        old[key] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "w.pth")
    module = import_network(NetworkConfig(network="torchvision:densenet121", weights=str(tmp_path / "w.pth"))).module
    read = module.state_dict()
    assert read.keys() == new.keys()
    assert all(torch.equal(read[key], new[key]) for key in new)
