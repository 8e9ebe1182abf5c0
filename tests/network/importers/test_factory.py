"""Networks from the user's own code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import load
from tests.network.refused import assert_refused
from tests.network.small import InPlace

OWN = "tests.network.small:InPlace"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("no.such.module:make", r"no module 'no'"),
        ("tests.network.small:nothing", r"module 'tests.network.small' has no function 'nothing'"),
        ("tests.network.small:fails", r"tests.network.small:fails failed with KeyError: 'no such thing'"),
        ("tests.network.small:exits", r"tests.network.small:exits failed with SystemExit: 3"),
        ("tests.network.small:ExitsInForward", r"forward of .*: SystemExit: 3"),
        ("tests.network.small:without_values", r"weights on the device 'meta', without values"),
        ("tests.network.small:text", r"must return a torch.nn.Module, not str"),
        ("tests.network.small:bad_preprocessing", r"its preprocessing is wrong at 'resise'"),
    ],
)
def test_factories_that_fail(network: str, message: str) -> None:
    assert_refused(message, network=network)


def test_arguments_that_do_not_fit() -> None:
    assert_refused("failed with TypeError", network=OWN, network_args={"a": 1})


def test_a_module_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_training_script.py").write_text(
        "import torch.nn as nn\ndef network(width):\n    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())\n"
    )
    monkeypatch.chdir(tmp_path)
    network = load(NetworkConfig(network="my_training_script:network", network_args={"width": 6}))
    assert [(tap.layer, tap.channels, tap.reading) for tap in network.taps] == [("0", 6, "relu")]
    assert network.preprocessing == Preprocessing()


def test_preprocessing() -> None:
    assert load(NetworkConfig(network=OWN)).preprocessing.channel_order == "BGR"
    assert load(NetworkConfig(network="tests.network.small:gated")).preprocessing.input_size == (16, 16)
    other = Preprocessing(resize=(30, 40), crop=None)
    network = load(NetworkConfig(network=OWN, preprocessing=other))
    assert network.preprocessing == other
    assert network.taps[0].map_size == (28, 38)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["compiled", "compiled in place", "inner", "parallel"])
def test_wrappers_are_removed(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    weights = InPlace().state_dict()
    save_file(weights, tmp_path / "w.safetensors")
    config = NetworkConfig(network="tests.network.small:wrapped", network_args={"kind": kind})
    network = load(replace(config, weights=str(tmp_path / "w.safetensors")))
    plain = load(NetworkConfig(network=OWN, weights=str(tmp_path / "w.safetensors")))
    assert [(tap.layer, tap.reading) for tap in network.taps] == [("conv", "relu")]
    assert (network.weights_digest, network.graph_digest) == (plain.weights_digest, plain.graph_digest)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["script", "inner script"])
def test_torchscript_is_refused(kind: str) -> None:
    message = "small:wrapped has a TorchScript module, .*: return the Python module"
    assert_refused(message, network="tests.network.small:wrapped", network_args={"kind": kind})
