"""Weights by path or URI, their digest, and one line for each fault."""

from __future__ import annotations

import argparse
import collections
import enum
import hashlib
import json
import os
import time
from dataclasses import replace
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
from tests.network.refused import assert_refused
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


def test_safetensors(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    assert_equal(loaded(tmp_path / "w.safetensors"), state())
    assert_equal(loaded((tmp_path / "w.safetensors").as_uri()), state())


def test_modules_that_check_their_version(tmp_path: Path) -> None:
    config = NetworkConfig(network="torchvision:mnasnet0_5", weights="random")
    weights = {name: tensor + 1 for name, tensor in import_network(config).module.state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    filled = import_network(replace(config, weights=str(tmp_path / "w.pth"))).module.state_dict()
    assert_equal(filled, weights)


@pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_checkpoints(tmp_path: Path, key: str | None, prefix: str) -> None:
    kept = {prefix + name: tensor for name, tensor in state().items()}
    checkpoint = kept if key is None else {"epoch": 3, "args": argparse.Namespace(lr=0.1), key: kept}
    torch.save(checkpoint, tmp_path / "w.pth")
    assert_equal(loaded(tmp_path / "w.pth"), state())


class Schedule:
    """Of a training loop: its state is set when it is read."""

    def __init__(self) -> None:
        self.steps = [1, 2]


class Options(dict[str, Any]):
    """Options of a training loop, as a kind of dictionary."""


class Milestones(list[int]):
    """Of a training loop, as a kind of list."""


class Phase(enum.Enum):
    WARM = 1


def lightning(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """A checkpoint with objects of the training code beside the state dict."""
    options = Options(lr=0.1, milestones=[Path("a"), np.float64(3.0)])
    return {
        "epoch": 3,
        "state_dict": weights,
        "hyper_parameters": options,
        "callbacks": {Schedule: Schedule()},
        "loops": collections.defaultdict(list, {"fit": [Schedule()]}),
        "phases": {Phase.WARM: Milestones([1, 2])},
        "losses": collections.deque([0.5, 0.4], maxlen=3),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(5)}}}],
    }


def test_objects_of_the_training_code_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(lightning({f"model.{name}": tensor for name, tensor in state().items()}), tmp_path / "last.ckpt")

    def made(*_: Any) -> None:
        raise AssertionError("code of the checkpoint runs")

    for kind in (Schedule, Options, Milestones):
        monkeypatch.setattr(kind, "__init__", made)
        monkeypatch.setattr(kind, "__setstate__", made, raising=False)
        monkeypatch.setattr(kind, "__new__", made)
    assert_equal(loaded(tmp_path / "last.ckpt"), state())


def test_several_files_of_safetensors(tmp_path: Path) -> None:
    names = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(state())}
    for file in set(names.values()):
        save_file({name: tensor for name, tensor in state().items() if names[name] == file}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    assert_equal(loaded(index), state())
    index.write_text(json.dumps({"weight_map": names | {"conv.weight": "../w.safetensors"}}))
    assert_refused(r"names '\.\./w\.safetensors', which is not", network=OWN, weights=str(index))
    index.write_text(json.dumps({"weight_map": names | {"more": "part-0.safetensors"}}))
    assert_refused(r"names more, which is not in part-0", network=OWN, weights=str(index))
    index.write_text("[]")
    assert_refused("is not an index of safetensors", network=OWN, weights=str(index))


AVERAGED = {
    "torchvision": (
        "model_ema",
        {"module." + name: tensor for name, tensor in state(1).items()} | {"n_averaged": torch.tensor(9)},
    ),
    "timm": ("state_dict_ema", state(1)),
    "nested": ("ema", {"module": state(1), "decay": 0.9}),
}


@pytest.mark.parametrize(("key", "averaged"), AVERAGED.values(), ids=AVERAGED)
def test_averaged_weights_come_first_and_the_choice_is_said(tmp_path: Path, key: str, averaged: dict[str, Any]) -> None:
    plain = "state_dict" if key == "state_dict_ema" else "model"
    torch.save({"arch": "small", plain: state(), key: averaged}, tmp_path / "checkpoint-3.pth.tar")
    weights = str(tmp_path / "checkpoint-3.pth.tar")
    read = import_network(NetworkConfig(network=OWN, weights=weights))
    assert_equal(read.module.state_dict(), state(1))
    chosen = f"{key}.module" if key == "ema" else key
    prefix = " with prefix 'module.'" if key == "model_ema" else ""
    assert read.notes == (
        f"read 4 tensors of {chosen!r} (not of {plain!r}: --weights-key chooses){prefix} from {weights}",
    )
    assert_equal(loaded(weights, weights_key=plain), state())
    assert_equal(loaded(weights, weights_key=chosen), state(1))
    assert_refused(
        f"no state dict at --weights-key 'modle'; .*{plain}", network=OWN, weights=weights, weights_key="modle"
    )


def test_a_tensor_beside_the_weights_is_not_another_choice(tmp_path: Path) -> None:
    """As the example of PyTorch for ImageNet saves its best accuracy."""
    torch.save({"state_dict": state(), "best_acc1": torch.tensor(76.1)}, tmp_path / "w.pth")
    read = import_network(NetworkConfig(network=OWN, weights=str(tmp_path / "w.pth")))
    assert read.notes == (f"read 4 tensors of 'state_dict' from {tmp_path / 'w.pth'}",)


def test_tensors_of_other_parts_are_left_out(tmp_path: Path) -> None:
    student = {f"student.{name}": tensor for name, tensor in state().items()}
    save_file(student | {"loss.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    read = import_network(NetworkConfig(network=OWN, weights=str(tmp_path / "w.safetensors")))
    assert_equal(read.module.state_dict(), state())
    assert "4 tensors" not in read.notes[0]
    assert "read 5 tensors with prefix 'student.', 1 others left out from" in read.notes[0]
    teacher = {f"teacher.{name}": tensor for name, tensor in state(1).items()}
    save_file(student | teacher, tmp_path / "w.safetensors")
    settings = {"network": OWN, "weights": str(tmp_path / "w.safetensors")}
    assert_refused(r"choose one with --weights-prefix, student\., teacher\.", **settings)
    assert_equal(loaded(tmp_path / "w.safetensors", weights_prefix="teacher."), state(1))
    assert_refused(
        r"has the prefix 'x\.': --weights-prefix is one of student\., teacher\.", **settings, weights_prefix="x."
    )


class Trap:
    """A pickle that creates a folder when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zipped", "before torch 1.6"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    content = {"state_dict": state(), "trap": Trap(tmp_path / "run")}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    settings = {"network": OWN, "weights": str(tmp_path / "w.pth")}
    assert_refused(r"w\.pth is a pickle that runs code.*\.safetensors.*--unsafe-pickle", **settings)
    assert not (tmp_path / "run").exists()
    assert_equal(loaded(tmp_path / "w.pth", unsafe_pickle=True), state())
    assert (tmp_path / "run").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zipped", "before torch 1.6"])
def test_objects_beside_the_weights_are_placeholders(tmp_path: Path, zipped: bool) -> None:
    content = {"state_dict": state(), "args": argparse.Namespace(lr=0.1), "path": Path("x")}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    assert_equal(loaded(tmp_path / "w.pth"), state())


def test_a_pickle_that_torch_does_not_read_names_the_way_out(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "w.pth", pickle_protocol=4)
    assert_refused(
        "save it again with torch.save, without pickle_protocol", network=OWN, weights=str(tmp_path / "w.pth")
    )


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    assert_refused(r"w\.pth are an empty file", network=OWN, weights=str(tmp_path / "w.pth"))


def test_a_whole_pickled_module_is_code(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1))
    torch.save(module, tmp_path / "w.pth")
    assert_refused("runs code", network=OWN, weights=str(tmp_path / "w.pth"))


def test_weights_that_do_not_fit_name_the_first_keys(tmp_path: Path) -> None:
    wrong = {name: tensor for name, tensor in state().items() if name != "conv.bias"}
    wrong |= {"head.weight": torch.zeros(2, 7)} | {f"extra{k}": torch.zeros(1) for k in range(5)}
    save_file(wrong, tmp_path / "w.safetensors")
    assert_refused(
        r"do not fit the network: 1 missing: conv\.bias; 5 unexpected: extra0, extra1, extra2, \.\.\.; "
        r"1 of another shape: head\.weight \[2, 7\] instead of \[2, 5\]",
        network=OWN,
        weights=str(tmp_path / "w.safetensors"),
    )


def test_files_without_weights(tmp_path: Path) -> None:
    assert_refused(r"no weights .*\.safetensors.* at nowhere\.pth", network=OWN, weights="nowhere.pth")
    for name in ("w.safetensors", "w.pth"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        assert_refused(rf"{name} ", network=OWN, weights=str(tmp_path / name))
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    assert_refused("does not contain a state dict", network=OWN, weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_without_a_tensor(tmp_path: Path, name: str) -> None:
    save_file({}, tmp_path / "w.safetensors")
    torch.save({}, tmp_path / "w.pth")
    assert_refused(rf"{name} does not contain a state dict", network=OWN, weights=str(tmp_path / name))
    torch.save({"state_dict": {}}, tmp_path / "w.pth")
    assert_refused(rf"{name} does not contain a state dict", network=OWN, weights=str(tmp_path / name))


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
        (
            uri_of("w.safetensors", key=READER_KEY, secret=READER_SECRET),
            f"no weights .* at s3://{BUCKET}/w.safetensors",
        ),
    ],
)
def test_weights_that_cannot_be_reached_are_reported_at_once(s3: ObjectStore, uri: str, said: str) -> None:
    started = time.monotonic()
    with pytest.raises(RayselError, match=said) as raised:
        load(NetworkConfig(network=OWN, weights=uri))
    assert time.monotonic() - started < 60  # without retries, for which it has 120 s
    assert not any(secret in str(raised.value) for secret in ("wrong-secret", READER_SECRET, "test1234"))


def test_digest_is_of_names_types_shapes_and_bytes(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    expected = hashlib.sha256()
    for name, tensor in sorted(state().items()):
        expected.update(f"{name} torch.float32 {list(tensor.shape)}\n".encode() + tensor.numpy().tobytes())
    network = load(NetworkConfig(network=OWN, weights=str(tmp_path / "w.safetensors"), layers=("conv",)))
    assert network.weights_digest == expected.hexdigest()
