"""Networks whose images take different branches."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from raysel.config import NetworkConfig
from raysel.network import load
from raysel.network.importers.registry import import_network
from raysel.pipeline.scan.extractor import extract_activations
from tests.network.maps import assert_close, maps
from tests.network.refused import assert_refused

BRANCHING = NetworkConfig(network="tests.network.small:Branching")


def test_every_image_takes_its_own_branch() -> None:
    network, module = load(BRANCHING), import_network(BRANCHING).module.eval()
    assert [tap.layer for tap in network.taps] == ["stem", "dark", "bright"]
    images = torch.randint(0, 60, (4, 12, 12, 3), dtype=torch.uint8)
    images[[1, 2]] += 150
    actual = maps(network, images)
    with torch.no_grad():
        stem = module.stem(images.permute(0, 3, 1, 2) / 255)
        assert_close(actual["stem"], stem)
        assert_close(actual["bright"][[1, 2]], module.bright(stem[[1, 2]]))
        assert_close(actual["dark"][[0, 3]], module.dark(stem[[0, 3]]))
    assert actual["bright"][[0, 3]].isnan().all()
    assert actual["dark"][[1, 2]].isnan().all()


def test_every_image_takes_its_own_branch_through_the_same_modules() -> None:
    network = load(NetworkConfig(network="tests.network.small:Brightened"))
    module = import_network(NetworkConfig(network="tests.network.small:Brightened")).module.eval()
    images = torch.randint(0, 60, (3, 12, 12, 3), dtype=torch.uint8)
    images[1] += 150
    with torch.no_grad():
        alone = [
            module.conv(image * (1 if k == 1 else 3)) for k, image in enumerate(network.normalize(images).split(1))
        ]
    assert_close(maps(network, images)["conv"], torch.cat(alone))


def test_a_branch_that_was_not_taken_gives_no_activation() -> None:
    network = load(BRANCHING)
    dark, bright = (np.full((3, 12, 12, 3), value, np.uint8) for value in (20, 200))
    for _ in range(3):  # freed memory holds the former values
        assert np.isfinite(extract_activations(network, dark, 2)[0][:, 3:6]).all()
        activations, _ = extract_activations(network, bright, 2)
        assert not np.isfinite(activations[:, 3:6]).any()
        assert np.isfinite(activations[:, 6:]).all()


def test_a_tap_that_the_network_does_not_visit_gives_no_activation() -> None:
    network = load(BRANCHING)
    run = network.run
    network.run = lambda pixels, visit: run(pixels, lambda tap, map_: None if tap else visit(tap, map_))  # type: ignore[method-assign]
    activations, _ = extract_activations(network, np.full((3, 12, 12, 3), 20, np.uint8), 2)
    assert np.isfinite(activations[:, :3]).all()
    assert (activations[:, 3:] == -np.inf).all()


def test_branches_are_named() -> None:
    network = load(BRANCHING)
    once = "convolution (the network cannot be traced; not called for every image)"
    assert [tap.reading for tap in network.taps] == ["convolution (the network cannot be traced)", once, once]
    assert network.notes == ("never called for black, gray, white and noise images, so not read: never",)
    assert_refused(
        "no layer matches 'never'.*never called .* not read: never", network=BRANCHING.network, layers=("never",)
    )


def test_the_channels_last_without_a_graph() -> None:
    network = load(NetworkConfig(network="tests.network.small:BranchingLast", layers=("linear", "stem")))
    assert [(tap.layer, tap.channels, tap.map_size) for tap in network.taps] == [
        ("stem", 4, (10, 10)),
        ("linear", 7, (10, 10)),
    ]
    module = import_network(NetworkConfig(network="tests.network.small:BranchingLast")).module.eval()
    images = torch.randint(0, 256, (3, 12, 12, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = module.linear(module.stem(network.normalize(images)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert_close(maps(network, images)["linear"], expected)


def test_torchs_own_messages_are_not_shown(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "broken.pt2").write_bytes(b"nothing of the kind")
    logging.disable(logging.DEBUG)
    try:
        load(BRANCHING)
        assert_refused("is not a torch.export program", network=str(tmp_path / "broken.pt2"), unsafe_pickle=True)
        assert logging.root.manager.disable == logging.DEBUG
    finally:
        logging.disable(logging.NOTSET)
    assert capfd.readouterr() == ("", "")
