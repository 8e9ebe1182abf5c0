"""Changed images through a network: neurons whose answers are known, plain references, and what must not matter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from raysel.config import NetworkConfig
from raysel.interventions import INTERVENTIONS, Intervention, measured
from raysel.network import Network, load
from raysel.network.importers.registry import import_network
from raysel.neurons import first_neurons
from raysel.pipeline.interventions.jobs import Entries, jobs_of
from raysel.pipeline.interventions.responses import responses
from raysel.pipeline.scan.extractor import extract_activations
from tests.networks import MEAN_COLOR, STD, ZOO_SIZE

BATCH = 4
ZOO = NetworkConfig(network="tests.networks:zoo", layers=("first", "second", "whole"))


def entries_of(network: Network, pixels: np.ndarray) -> tuple[Entries, np.ndarray]:
    """An entry for every positive activation of every neuron, and the activations."""
    activations, positions = extract_activations(network, pixels, BATCH)
    neuron, image = np.nonzero(activations.T > 0)
    first = np.array(first_neurons(network.taps))
    tap = np.searchsorted(first, neuron, side="right") - 1
    position = positions[image, neuron].astype(np.int64)
    height, width = pixels.shape[1:3]
    boxes = [
        network.taps[t].receptive_field.boxes(np.array(p), network.taps[t].map_size[1])
        for t, p in zip(tap.tolist(), position.tolist(), strict=True)
    ]
    box = np.clip(np.array(boxes), 0, [height, width, height, width])
    seed = np.stack([tap, neuron, image], axis=1)
    return Entries(neuron, tap, neuron - first[tap], image, position, box, seed), activations[image, neuron]


def index_of(name: str, network: str, pixels: np.ndarray, neuron: int) -> dict[str, Any]:
    """The columns of one intervention for one neuron."""
    loaded = load(NetworkConfig(network=f"tests.networks:{network}"))
    entries, activations = entries_of(loaded, pixels)
    mine = np.flatnonzero(entries.neuron == neuron)
    entries = entries.take(mine)
    found = responses(loaded, INTERVENTIONS[name], entries, pixels, entries.image, BATCH)
    return measured(INTERVENTIONS[name], found, activations[mine])


def patches(color: tuple[int, int, int], count: int = 3) -> np.ndarray:
    pixels = np.zeros((count, 32, 32, 3), np.uint8)
    for number in range(count):
        pixels[number, 9 + number : 20 + number, 4 : 15 + number] = color
    return pixels


def test_a_neuron_for_red_alone() -> None:
    """Luma of pure red is 76 of 255, which is all that the neuron for the red channel keeps."""
    found = index_of("gray", "interventions", patches((255, 0, 0)), 0)
    assert found["gray_index"] == pytest.approx(1 - 76 / 255, abs=1e-6)


def test_a_color_blind_neuron() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    assert index_of("gray", "interventions", noise, 1)["gray_index"] == pytest.approx(0, abs=0.5 / 255)


def test_a_neuron_for_texture_whatever_its_arrangement() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)
    assert index_of("shape", "interventions", noise, 1)["shape_index"] == pytest.approx(0, abs=1e-5)


def bars() -> np.ndarray:
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    pixels[0, :, 15] = 255
    return pixels


def test_a_neuron_for_vertical_bars() -> None:
    found = index_of("orientation", "interventions", bars(), 2)
    curve = np.array(found["orientation_curve"])
    assert len(curve) == 23
    assert curve == pytest.approx(curve[::-1], abs=0.01)  # by an angle and by minus that angle
    assert np.argmin(curve) in (5, 17)  # 90 and 270 degrees
    assert curve[11] == pytest.approx(1, abs=1e-5)  # 180 degrees
    assert curve[0] > curve[1] > curve[5]
    assert found["orientation_index"] == pytest.approx(1 - curve.mean())
    assert index_of("shape", "interventions", bars(), 2)["shape_index"] > 0.5


def test_a_neuron_with_mirror_symmetries() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3), np.uint8)
    found = index_of("symmetry", "interventions", noise, 3)
    assert found["symmetry_index"] == pytest.approx(0, abs=1e-5)
    assert found["symmetry_curve"] == pytest.approx([1, 1, 1, 1], abs=1e-5)
    bar = index_of("symmetry", "interventions", bars(), 2)["symmetry_curve"]
    assert bar[0] == pytest.approx(1, abs=1e-5)
    assert bar[2] == pytest.approx(1, abs=1e-5)
    assert max(bar[1], bar[3]) < 0.5


@pytest.fixture(scope="module")
def zoo() -> Network:
    return load(ZOO)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (7, *ZOO_SIZE, 3), np.uint8)


@pytest.mark.parametrize("whole", [True, False])
def test_no_change_is_no_loss(zoo: Network, noise: np.ndarray, whole: bool) -> None:
    """To the last bit, also where a forward ends early."""
    nothing = Intervention("nothing", whole, 1, lambda pixels, _: pixels[None], "")
    entries, activations = entries_of(zoo, noise)
    assert set(entries.tap.tolist()) == {0, 1, 2}
    for tap in range(3):
        mine = np.flatnonzero(entries.tap == tap)
        part = entries.take(mine)
        found = responses(zoo, nothing, part, noise, part.image, BATCH)
        assert np.array_equal(found[:, 0], activations[mine])
    assert np.array_equal(responses(zoo, nothing, entries, noise, entries.image, BATCH)[:, 0], activations)


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_the_jobs_together_are_all_entries_at_once(
    zoo: Network, noise: np.ndarray, name: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("raysel.pipeline.interventions.jobs.JOB_RUNS", 3)
    each = INTERVENTIONS[name]
    entries, _ = entries_of(zoo, noise)
    entries = entries.take(np.arange(0, len(entries), 9))
    at_once = responses(zoo, each, entries, noise, entries.image, BATCH)
    jobs = list(jobs_of(entries, [each]))
    assert len(jobs) > 1
    assert len({job.name for job in jobs}) == len(jobs)
    assert sorted(np.concatenate([job.rows for job in jobs]).tolist()) == list(range(len(entries)))
    for job in jobs:
        part = entries.take(job.rows)
        if not each.whole_image:
            assert len(set(part.tap.tolist())) == 1
        assert np.array_equal(responses(zoo, each, part, noise, part.image, BATCH), at_once[job.rows])


def plain_maps(module: nn.Module, image: np.ndarray) -> list[torch.Tensor]:
    """The taps' maps in float64, as the zoo's code has them."""
    x = torch.from_numpy((image / 255 - MEAN_COLOR) / STD).permute(2, 0, 1)[None]
    first = nn.functional.relu6(module.first(x))
    second = nn.functional.relu(module.norm(module.second(first)))
    return [first, second, module.whole(second)]


@pytest.mark.parametrize("name", ["gray", "shape"])
def test_against_a_plain_forward(zoo: Network, noise: np.ndarray, name: str) -> None:
    module = import_network(ZOO).module.double().eval()
    entries, _ = entries_of(zoo, noise)
    found = responses(zoo, INTERVENTIONS[name], entries, noise, entries.image, BATCH)[:, 0]
    for row in range(0, len(entries), 11):
        image = noise[entries.image[row]].copy()
        y0, x0, y1, x1 = entries.box[row]
        if name == "gray":
            for y, x in np.ndindex(*ZOO_SIZE):
                red, green, blue = image[y, x].tolist()
                image[y, x] = round(0.299 * red + 0.587 * green + 0.114 * blue)
        else:
            places = [(y, x) for y in range(y0, y1) for x in range(x0, x1)]
            order = np.random.default_rng(entries.seed[row].tolist()).permutation(len(places))
            before = image.copy()
            for place, taken in zip(places, order.tolist(), strict=True):
                image[place] = before[places[taken]]
        with torch.no_grad():
            map_ = plain_maps(module, image)[entries.tap[row]][0, entries.channel[row]]
        assert found[row] == pytest.approx(map_.flatten()[entries.position[row]].item(), rel=1e-4, abs=1e-5)


def test_a_position_that_sees_nothing_changes_nothing(zoo: Network, noise: np.ndarray) -> None:
    entries, activations = entries_of(zoo, noise)
    blind = replace(entries, box=np.zeros_like(entries.box)).take(np.arange(5))
    found = responses(zoo, INTERVENTIONS["symmetry"], blind, noise, blind.image, BATCH)
    assert np.array_equal(found, np.repeat(activations[:5, None], 4, axis=1))
