"""A crop alone on the mean image gives the activation of the whole image; a crop that is too small does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import Network, load
from raysel.neurons import first_neurons
from raysel.pipeline.scan.extractor import extract_activations
from raysel.pipeline.self_check import Crop, activations_alone, crop_of

BATCH = 4
IMAGES = 4
NETWORKS = {
    "tiny": NetworkConfig(network="tests.networks:zoo", layers=("first", "second")),
    "padding at one side": NetworkConfig(
        network="efficientnet_lite_pytorch:EfficientNet.from_name",
        network_args={"model_name": "efficientnet-lite0"},
        preprocessing=Preprocessing(resize=(96, 96), crop=None),
        layers=("_blocks.[0-4].*",),
    ),
    "branches": NetworkConfig(network="torchvision:squeezenet1_1", weights="random", layers=("features.[3-6]*",)),
}


def crops_and_activations(network: Network, images: int) -> tuple[np.ndarray, list[Crop], list[float]]:
    """Images of noise, the crops of some neurons' maxima that can be run alone, and their activations."""
    size = network.preprocessing.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (images, *size, 3), dtype=np.uint8)
    activations, positions = extract_activations(network, pixels, BATCH)
    first, crops, wanted = first_neurons(network.taps), [], []
    for number, tap in enumerate(network.taps):
        for channel in range(0, tap.channels, 7):
            for image in range(images):
                neuron = first[number] + channel
                place = divmod(int(positions[image, neuron]), tap.map_size[1])
                crop = crop_of(network.taps, number, channel, place, image)
                if crop is not None and activations[image, neuron] > 0:
                    crops.append(crop)
                    wanted.append(float(activations[image, neuron]))
    return pixels, crops, wanted


@pytest.mark.parametrize("name", NETWORKS)
def test_a_crop_alone_gives_the_activation(name: str) -> None:
    network = load(NETWORKS[name])
    pixels, crops, wanted = crops_and_activations(network, IMAGES)
    assert len({crop.tap for crop in crops}) >= 2
    assert len(crops) > BATCH
    got = list(activations_alone(network, pixels, crops, BATCH))
    assert [crop for crop, _ in got] == crops
    np.testing.assert_allclose([value for _, value in got], wanted, rtol=1e-4, atol=1e-6)


def test_a_wrong_crop_gives_another_activation() -> None:
    network = load(NETWORKS["branches"])
    pixels, crops, wanted = crops_and_activations(network, IMAGES)
    boxes = np.array([crop.box for crop in crops])
    smaller = [
        replace(crop, box=box) for crop, box in zip(crops, (boxes + np.array([1, 1, -1, -1])).tolist(), strict=True)
    ]
    up = zip(crops, (boxes - np.array([1, 0, 1, 0])).tolist(), strict=True)
    moved = [replace(crop, box=box) for crop, box in up if crop.box[0] > 0]
    kept = [value for crop, value in zip(crops, wanted, strict=True) if crop.box[0] > 0]
    for wrong, values in ((smaller, wanted), (moved, kept)):
        got = np.array([value for _, value in activations_alone(network, pixels, wrong, BATCH)])
        assert np.mean(~np.isclose(got, values, rtol=1e-4)) > 0.5


def test_which_crops_cannot_be_run_alone() -> None:
    network = load(NetworkConfig(network="tests.networks:zoo"))
    numbers = {tap.layer: number for number, tap in enumerate(network.taps)}
    assert crop_of(network.taps, numbers["whole"], 0, (0, 0), 0) is None  # the whole input
    assert crop_of(network.taps, numbers["first"], 0, (0, 5), 0) is None  # rows -2 and -1 are padding
    assert crop_of(network.taps, numbers["first"], 0, (11, 5), 0) is None
    inside = crop_of(network.taps, numbers["first"], 0, (1, 10), 2)
    assert inside == Crop(numbers["first"], 0, (1, 10), 2, (0, 18, 5, 23))
    bounded = load(NetworkConfig(network="tests.network.small:upsampled"))
    assert not bounded.taps[1].receptive_field.exact
    assert crop_of(bounded.taps, 1, 0, (20, 20), 0) is None
