"""Networks and weights by name, and one clear line for each fault."""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.network import load
from raysel.network.importers.registry import import_network
from tests.fault_proxy import fault_proxy
from tests.object_store import BUCKET, READER_KEY, READER_SECRET, ObjectStore, uri_of

OWN = "tests.network.small:InPlace"


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {
        "conv.weight": torch.randn(5, 3, 3, 3),
        "conv.bias": torch.randn(5),
        "head.weight": torch.randn(2, 5),
        "head.bias": torch.randn(2),
    }


def loaded(weights: Path | str, **settings: Any) -> dict[str, torch.Tensor]:
    module = import_network(NetworkConfig(network=OWN, weights=str(weights), **settings)).module
    return module.state_dict()


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def refused(message: str, **settings: Any) -> None:
    """`load` raises one line that matches."""
    with pytest.raises(RayselError, match=message) as caught:
        load(NetworkConfig(**settings))
    assert "\n" not in str(caught.value)


def test_safetensors(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    assert_equal(loaded(tmp_path / "w.safetensors"), state())
    assert_equal(loaded((tmp_path / "w.safetensors").as_uri()), state())


@pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_checkpoints(tmp_path: Path, key: str | None, prefix: str) -> None:
    kept = {prefix + name: tensor for name, tensor in state().items()}
    checkpoint = kept if key is None else {"epoch": 3, "args": argparse.Namespace(lr=0.1), key: kept}
    torch.save(checkpoint, tmp_path / "w.pth")
    assert_equal(loaded(tmp_path / "w.pth"), state())


class Trap:
    """A pickle that does something when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "trap": Trap(tmp_path / "sprung")}, tmp_path / "w.pth")
    settings = {"network": OWN, "weights": str(tmp_path / "w.pth")}
    refused(r"w\.pth is a pickle that runs code.*\.safetensors.*--unsafe-pickle", **settings)
    assert not (tmp_path / "sprung").exists()
    assert_equal(loaded(tmp_path / "w.pth", unsafe_pickle=True), state())
    assert (tmp_path / "sprung").exists()


def test_a_whole_pickled_module_is_code(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1))
    torch.save(module, tmp_path / "w.pth")
    refused("runs code", network=OWN, weights=str(tmp_path / "w.pth"))


def test_weights_that_do_not_fit_name_the_first_keys(tmp_path: Path) -> None:
    wrong = {name: tensor for name, tensor in state().items() if name != "conv.bias"}
    wrong |= {"head.weight": torch.zeros(2, 7)} | {f"extra{k}": torch.zeros(1) for k in range(5)}
    save_file(wrong, tmp_path / "w.safetensors")
    refused(
        r"do not fit the network: 1 missing: conv\.bias; 5 unexpected: extra0, extra1, extra2, \.\.\.; "
        r"1 of another shape: head\.weight \[2, 7\] instead of \[2, 5\]",
        network=OWN,
        weights=str(tmp_path / "w.safetensors"),
    )


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    refused("no weights at nowhere.pth", network=OWN, weights="nowhere.pth")
    for name in ("w.safetensors", "w.pth"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        refused(rf"{name} ", network=OWN, weights=str(tmp_path / name))
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    refused("does not contain a state dict", network=OWN, weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_without_a_tensor(tmp_path: Path, name: str) -> None:
    save_file({}, tmp_path / "w.safetensors")
    torch.save({}, tmp_path / "w.pth")
    refused(rf"{name} does not contain a state dict", network=OWN, weights=str(tmp_path / name))
    torch.save({"state_dict": {}}, tmp_path / "w.pth")
    refused(rf"{name} does not contain a state dict", network=OWN, weights=str(tmp_path / name))


@pytest.mark.parametrize("scheme", ["https", "ftp", "gs"])
def test_secrets_of_a_uri_are_not_shown(scheme: str) -> None:
    uri = f"{scheme}://key:verysecret@host/w.safetensors?token=hidden"
    small = {"resize": (12, 20), "crop": None}
    for settings in ({"weights": uri}, {"preprocessing": Preprocessing(average_image=uri, **small)}):
        with pytest.raises(RayselError, match=f"{scheme}://host/w.safetensors: ") as raised:
            load(NetworkConfig(network=OWN, **settings))
        assert not any(secret in str(raised.value) for secret in ("key", "verysecret", "hidden", "\n"))
        assert scheme == "gs" or "raysel reads local paths and s3://" in str(raised.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_in_a_bucket_survive_faults(s3: ObjectStore, tmp_path: Path, name: str) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    torch.save(state(), tmp_path / "w.pth")
    s3.upload(tmp_path, "weights")
    with fault_proxy(s3.endpoint) as proxy:
        fault = proxy.inject("slow down", "GET", f"/{name}", times=2)
        host = proxy.endpoint.removeprefix("http://")
        uri = f"s3://{BUCKET}/weights/{name}?scheme=http&endpoint_override={host}&retry_for=30"
        assert_equal(loaded(uri), state())
    assert fault.done == 2


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (uri_of("w.safetensors", endpoint="http://127.0.0.1:9"), "cannot be reached"),
        (uri_of("w.safetensors", secret="wrong-secret"), "the secret key is wrong"),
        (uri_of("w.safetensors", key=READER_KEY, secret=READER_SECRET), f"no weights at s3://{BUCKET}/w.safetensors"),
    ],
)
def test_weights_that_cannot_be_reached_are_reported_at_once(s3: ObjectStore, uri: str, said: str) -> None:
    started = time.monotonic()
    with pytest.raises(RayselError, match=said) as raised:
        load(NetworkConfig(network=OWN, weights=uri))
    assert time.monotonic() - started < 10
    assert not any(secret in str(raised.value) for secret in ("wrong-secret", READER_SECRET, "test1234"))


def test_an_average_image_in_a_bucket(s3: ObjectStore, tmp_path: Path) -> None:
    average = np.random.default_rng(0).uniform(80, 140, (12, 20, 3)).astype(np.float32)
    np.save(tmp_path / "average.npy", average)
    uri = f"{s3.upload(tmp_path, 'average')}/average.npy"
    network = load(
        NetworkConfig(network=OWN, preprocessing=Preprocessing(resize=(12, 20), crop=None, average_image=uri))
    )
    assert network.preprocessing.mean == pytest.approx(average.mean(axis=(0, 1)), rel=1e-6)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("resnet18", r"unknown network 'resnet18': give torchvision:NAME"),
        ("torchvision:resnet19", r"unknown network torchvision:resnet19; did you mean .*resnet18"),
        ("chatfield:vgg", r"unknown network chatfield:vgg; did you mean .*vgg-m"),
        ("no.such.module:make", r"no module 'no'"),
        ("tests.network.small:nothing", r"module 'tests.network.small' has no function 'nothing'"),
        ("tests.network.small:fails", r"tests.network.small:fails failed with KeyError: 'no such thing'"),
        ("tests.network.small:text", r"must return a torch.nn.Module, not str"),
        ("tests.network.small:bad_preprocessing", r"its preprocessing is wrong at 'resise'"),
        ("torchvision:resnet18", r"torchvision:resnet18 needs its trained weights: give --weights .* random"),
    ],
)
def test_unknown_networks(network: str, message: str) -> None:
    refused(message, network=network)


def test_factory_arguments_that_do_not_fit() -> None:
    refused(
        "does not take these --network-args", network="torchvision:resnet18", weights="random", network_args={"a": 1}
    )
    refused("does not take these --network-args", network="chatfield:vgg-m", weights="random", network_args={"a": 1})
    refused("failed with TypeError", network=OWN, network_args={"a": 1})


def test_images_that_the_network_does_not_take() -> None:
    small = Preprocessing(resize=(2, 2), crop=None)
    refused(r"tests.network.small:InPlace .*images of 2 x 2", network=OWN, preprocessing=small)
    refused("needs a crop", network=OWN, preprocessing=Preprocessing(resize=64, crop=None))


def test_own_module_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_training_script.py").write_text(
        "import torch.nn as nn\ndef network(width):\n    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())\n"
    )
    monkeypatch.chdir(tmp_path)
    network = load(NetworkConfig(network="my_training_script:network", network_args={"width": 6}))
    assert [(tap.layer, tap.channels, tap.reading) for tap in network.taps] == [("0", 6, "relu")]
    assert network.preprocessing == Preprocessing()


def test_preprocessing_of_ones_own_network() -> None:
    assert load(NetworkConfig(network=OWN)).preprocessing.channel_order == "BGR"
    assert load(NetworkConfig(network="tests.network.small:gated")).preprocessing.input_size == (16, 16)
    mine = Preprocessing(resize=(30, 40), crop=None)
    network = load(NetworkConfig(network=OWN, preprocessing=mine))
    assert network.preprocessing == mine
    assert network.taps[0].map_size == (28, 38)


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


def test_random_weights_are_the_same_each_time_and_leave_the_generator() -> None:
    config = NetworkConfig(network="torchvision:squeezenet1_1", weights="random")
    torch.manual_seed(1)
    first = load(config).weights_digest
    torch.manual_seed(2)
    assert load(config).weights_digest == first


def test_digest_is_of_names_types_shapes_and_bytes(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    expected = hashlib.sha256()
    for name, tensor in sorted(state().items()):
        expected.update(f"{name} torch.float32 {list(tensor.shape)}\n".encode() + tensor.numpy().tobytes())
    network = load(NetworkConfig(network=OWN, weights=str(tmp_path / "w.safetensors"), layers=("conv",)))
    assert network.weights_digest == expected.hexdigest()


@pytest.mark.parametrize("heads", [False, True])
def test_googlenet_as_published(tmp_path: Path, heads: bool) -> None:
    """The published file holds auxiliary heads, and its network was trained on another range of input."""
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
    assert_equal(dict(module.state_dict()), dict(new))


def test_average_image_of_ones_own(tmp_path: Path) -> None:
    """It is taken away in place of the mean, and tells networks apart."""
    average = np.random.default_rng(0).uniform(80, 140, (12, 20, 3)).astype(np.float32)
    settings = {"resize": (12, 20), "crop": None, "scale": 1.0, "channel_order": "BGR", "std": (2.0, 4.0, 8.0)}
    paths = [str(tmp_path / f"{name}.npy") for name in "ab"]
    for path, image in zip(paths, (average, average[:, ::-1]), strict=True):
        np.save(path, image)
    one, other = (
        load(NetworkConfig(network=OWN, preprocessing=Preprocessing(average_image=path, **settings))) for path in paths
    )
    assert one.weights_digest != other.weights_digest
    assert one.preprocessing.mean == pytest.approx(average.mean(axis=(0, 1)), rel=1e-6)
    pixels = torch.randint(0, 256, (2, 12, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    expected = (pixels.double() - torch.from_numpy(average).double()) / torch.tensor([2.0, 4.0, 8.0]).double()
    actual = one.normalize(pixels)
    assert torch.allclose(actual.double(), expected.flip(-1).permute(0, 3, 1, 2), rtol=1e-5, atol=1e-4)
    for content, says in (
        (average[1:], r"is \[11, 20, 3\], the network's input \[12, 20, 3\]"),
        (None, "not an average"),
    ):
        np.save(paths[0], content if content is not None else np.array([object()]), allow_pickle=True)
        refused(says, network=OWN, preprocessing=Preprocessing(average_image=paths[0], **settings))
    refused(
        "no average image at none.npy", network=OWN, preprocessing=Preprocessing(average_image="none.npy", **settings)
    )
