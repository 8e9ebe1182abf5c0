"""The last step of preprocessing, and average images in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import load
from tests.network.refused import assert_refused
from tests.object_store import ObjectStore

OWN = "tests.network.small:InPlace"


def test_average_image(tmp_path: Path) -> None:
    """It is subtracted instead of the mean, and it changes the weights digest."""
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
    for content, message in (
        (average[1:], r"is \[11, 20, 3\], the network's input \[12, 20, 3\]"),
        (None, "not an average"),
    ):
        np.save(paths[0], content if content is not None else np.array([object()]), allow_pickle=True)
        assert_refused(message, network=OWN, preprocessing=Preprocessing(average_image=paths[0], **settings))
    assert_refused(
        "no average image at none.npy", network=OWN, preprocessing=Preprocessing(average_image="none.npy", **settings)
    )


def test_an_average_image_in_a_bucket(s3: ObjectStore, tmp_path: Path) -> None:
    average = np.random.default_rng(0).uniform(80, 140, (12, 20, 3)).astype(np.float32)
    np.save(tmp_path / "average.npy", average)
    uri = f"{s3.upload(tmp_path, 'average')}/average.npy"
    network = load(
        NetworkConfig(network=OWN, preprocessing=Preprocessing(resize=(12, 20), crop=None, average_image=uri))
    )
    assert network.preprocessing.mean == pytest.approx(average.mean(axis=(0, 1)), rel=1e-6)


def test_wrong_pixels_are_refused() -> None:
    network = load(NetworkConfig(network="tests.network.small:InPlace"))
    for wrong in (torch.zeros(1, 3, 12, 20), torch.zeros(1, 12, 21, 3, dtype=torch.uint8), torch.zeros(12, 20, 3)):
        with pytest.raises(ValueError, match=r"pixels must be uint8\[B, 12, 20, 3\]"):
            network.run(wrong, lambda k, map_: None)
