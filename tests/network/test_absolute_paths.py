"""Local files get absolute paths; everything else stays as it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import with_absolute_paths


@pytest.fixture(autouse=True)
def in_a_folder_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("w.safetensors", "net.mat", "average.npy", "random"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)


def test_local_files(tmp_path: Path) -> None:
    config = NetworkConfig(
        network="net.mat", weights="./w.safetensors", preprocessing=Preprocessing(average_image="average.npy")
    )
    absolute = with_absolute_paths(config)
    assert (absolute.network, absolute.weights) == (str(tmp_path / "net.mat"), str(tmp_path / "w.safetensors"))
    assert absolute.preprocessing == Preprocessing(average_image=str(tmp_path / "average.npy"))
    assert with_absolute_paths(absolute) == absolute


@pytest.mark.parametrize("weights", [None, "random", "IMAGENET1K_V2", "s3://bucket/w.pth", "/nowhere/w.pth"])
@pytest.mark.parametrize("network", ["torchvision:resnet50", "package.module:factory", "absent.pt2"])
def test_other_names_stay(network: str, weights: str | None) -> None:
    config = NetworkConfig(network=network, weights=weights, preprocessing=Preprocessing())
    assert with_absolute_paths(config) == config
