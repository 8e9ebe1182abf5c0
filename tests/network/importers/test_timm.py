"""timm's networks: their names, weights and preprocessing, compared with timm itself."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.images.decode import decode
from raysel.network import load
from raysel.network.importers.registry import import_network
from tests.network.maps import assert_close, maps, pixels, plain
from tests.network.refused import assert_refused

SMALL = "timm:resnet10t"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("timm:resnet10", r"unknown network timm:resnet10; did you mean .*resnet10t"),
        ("timm:resnet10t.a1", r"unknown network timm:resnet10t.a1; did you mean .*resnet10t"),
        ("timm:hf-hub:timm/resnet10t", r"unknown network timm:hf-hub:timm/resnet10t"),
        (SMALL, r"timm:resnet10t needs its trained weights: give --weights .* random"),
    ],
)
def test_networks_that_are_refused(network: str, message: str) -> None:
    assert_refused(message, network=network)


@pytest.mark.parametrize("arguments", [{"a": 1}, {"pretrained": True}, {"block_args": 3}])
def test_network_args_that_do_not_fit(arguments: dict[str, Any]) -> None:
    assert_refused("does not take these --network-args", network=SMALL, weights="random", network_args=arguments)


def test_timm_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert_refused(r"pip install 'raysel\[timm\]'", network=SMALL, weights="random")


@pytest.mark.parametrize(("name", "layers"), [("resnet10t", ("*",)), ("mobilenetv3_small_050", ("*", "*.se.*"))])
def test_maps_of_all_convolutions(name: str, layers: tuple[str, ...]) -> None:
    config = NetworkConfig(network=f"timm:{name}", weights="random", layers=layers, tap="convolution")
    network, module = load(config), import_network(config).module
    convolutions = [key for key, child in module.named_modules() if isinstance(child, nn.Conv2d)]
    assert {tap.layer for tap in network.taps} == set(convolutions)
    images = pixels(network, 2)
    expected = plain(module, images, network)
    for layer, actual in maps(network, images).items():
        assert_close(actual, expected[layer])


def test_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = timm.create_model("resnet10t", num_classes=7)
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    settings: dict[str, Any] = {"network": SMALL, "weights": str(tmp_path / "w.safetensors")}
    read = import_network(NetworkConfig(**settings, network_args={"num_classes": 7})).module.state_dict()
    assert all(torch.equal(read[key], value) for key, value in module.state_dict().items())
    assert_refused("do not fit the network: 2 of another shape: fc.weight", **settings)


def test_untrained_networks_are_the_same_each_time() -> None:
    first, second = (load(NetworkConfig(network=SMALL, weights="random")) for _ in range(2))
    assert (first.weights_digest, first.graph_digest) == (second.weights_digest, second.graph_digest)


def with_weights_settings(**settings: Any) -> NetworkConfig:
    """A small network with other settings of its published weights."""
    return NetworkConfig(network=SMALL, weights="random", network_args={"pretrained_cfg_overlay": settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"crop_pct": 0.95, "interpolation": "bilinear", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.4, 0.3)},
        {"crop_mode": "squash", "crop_pct": 1.0},
        {"crop_mode": "squash", "crop_pct": 0.9, "input_size": (3, 96, 128)},
    ],
)
def test_preprocessing_is_timm_s_own(settings: dict[str, Any]) -> None:
    config = with_weights_settings(**settings)
    data = timm.data.resolve_model_data_config(import_network(config).module)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)).resize((500, 400))
    expected = timm.data.create_transform(**data)(image)
    file = io.BytesIO()
    image.save(file, "PNG")
    network = load(config)
    decoded = decode(file.getvalue(), network.preprocessing)
    actual = network.normalize(torch.from_numpy(np.array(decoded))[None])[0]
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 2 / 255 / min(network.preprocessing.std) + 1e-5


@pytest.mark.parametrize(
    ("tag", "resize", "size"), [("d1h_in1k", 235, 224), ("r384_in12k", 384, 384)]
)  # crop_pct 0.95 and 1.0
def test_the_tag_chooses_the_preprocessing(tag: str, resize: int, size: int) -> None:
    imported = import_network(NetworkConfig(network=f"timm:convnext_nano.{tag}", weights="random"))
    assert imported.preprocessing == Preprocessing(resize=resize, crop=(size, size), interpolation="bicubic")


@pytest.mark.parametrize("settings", [{"crop_mode": "border"}, {"input_size": (3, 96, 128)}])
def test_preprocessing_without_an_equivalent(settings: dict[str, Any]) -> None:
    refused = with_weights_settings(**settings)
    with pytest.raises(RayselError, match=r"no equivalent of timm's crop_mode .*: give --preprocessing"):
        load(refused)
    own = Preprocessing(resize=(64, 64), crop=None)
    assert load(replace(refused, preprocessing=own)).preprocessing == own
