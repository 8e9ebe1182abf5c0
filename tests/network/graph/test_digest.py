"""Networks with the same weights that compute different things have different digests."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from raysel.config import NetworkConfig
from raysel.network import load
from tests.conftest import ROOT

FACTORY = "tests.network.small:variant"


def digests(network: str = FACTORY, layers: tuple[str, ...] = ("*",), **arguments: Any) -> tuple[str, str]:
    loaded = load(NetworkConfig(network=network, network_args=arguments, layers=layers))
    return loaded.weights_digest, loaded.graph_digest


@pytest.mark.parametrize(
    "change",
    [
        {"stride": 2},
        {"pool": "mean"},
        {"pool": "padded mean"},
        {"activation": "elu"},
        {"slope": 0.2},
        {"eps": 1e-3},
        {"scale": 2.0},
        {"twice": True},
    ],
)
def test_another_operation_or_setting(change: dict[str, Any]) -> None:
    """The second layer sees the whole image, so that its field and its map stay the same."""
    weights, graph = digests()
    other_weights, other_graph = digests(**change)
    assert other_weights == weights
    assert other_graph != graph


def test_the_same_in_every_process_and_for_any_operations_after_the_last_tap() -> None:
    code = (
        "from tests.network.graph.test_digest import digests; "
        "print(*digests(), *digests('tests.network.small:ByValue'), *digests('tests.network.small:ByShape'))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    ours = (*digests(), *digests("tests.network.small:ByValue"), *digests("tests.network.small:ByShape"))
    assert done.stdout.split() == list(ours)
    assert digests(layers=("first",), twice=True) == digests(layers=("first",))


def test_networks_without_a_graph() -> None:
    a, b = (digests("tests.network.small:by_value", stride=stride) for stride in (1, 2))
    assert a[0] == b[0]
    assert a[1] != b[1]
