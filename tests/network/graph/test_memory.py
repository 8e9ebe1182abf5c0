"""Operations in place whose results the code does not use: they count for what a layer sees and where it is read."""

from __future__ import annotations

import pytest
from torch.nn.functional import relu

from raysel.config import NetworkConfig
from raysel.network import load
from raysel.network.importers.registry import import_network
from tests.network.maps import assert_close, maps, pixels, plain

KINDS = ("add", "part", "set", "rows", "copy", "view", "parts", "relu", "out")


def dropped(kind: str) -> NetworkConfig:
    return NetworkConfig(network="tests.network.small:Dropped", network_args={"kind": kind})


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_those_of_a_plain_forward(kind: str) -> None:
    network = load(dropped(kind))
    images = pixels(network, 2)
    expected = plain(import_network(dropped(kind)).module, images, network)
    assert_close(maps(network, images)["c"], expected["c"])


@pytest.mark.parametrize(
    ("kind", "size", "exact"),
    [
        ("add", 7, True),
        ("part", 7, True),
        ("set", 7, True),
        ("rows", 16, False),
        ("copy", 7, True),
        ("view", 16, False),
        ("parts", 7, True),
        ("relu", 1, True),
        ("out", 7, True),
    ],
)
def test_what_is_written_into_a_map_is_seen(kind: str, size: int, exact: bool) -> None:
    """Never less than the truth, which is 7 pixels but for ``rows`` and ``relu``, and a bound where it is more."""
    field = {tap.layer: tap.receptive_field for tap in load(dropped(kind)).taps}["c"]
    assert (field.size, field.exact) == (size, exact)


def test_an_activation_in_place_is_read() -> None:
    network = load(dropped("relu"))
    assert {tap.layer: tap.reading for tap in network.taps} == {"a": "relu", "c": "convolution"}
    images = pixels(network, 2)
    expected = plain(import_network(dropped("relu")).module, images, network)
    assert_close(maps(network, images)["a"], relu(expected["a"]))
