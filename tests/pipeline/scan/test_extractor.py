"""Candidates of forward passes, against the selection from all activations; and what a forward copies and sends."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from raysel.config import NetworkConfig
from raysel.network import load, uploads
from raysel.network.uploads import device_batches
from raysel.neurons import Candidates, Rankings, first_neurons, fold_into
from raysel.pipeline.scan import extractor
from raysel.pipeline.scan.extractor import extract_activations, find_candidates
from tests.networks import ZOO_SIZE
from tests.selecting import select

BATCH = 4
COUNT = 11
PIXELS = np.random.default_rng(5).integers(0, 256, (COUNT, *ZOO_SIZE, 3), dtype=np.uint8)
PIXELS[3] = PIXELS[8]  # equal activations
PIXELS[5] = 255  # inf and NaN
CPU = torch.device("cpu")


def as_set(candidates: Candidates) -> set[tuple[int, int, int]]:
    columns = candidates.neurons.tolist(), candidates.keys.tolist(), candidates.positions.tolist()
    return set(zip(*columns, strict=True))


@pytest.mark.parametrize("depth", [1, 2, 5, 40])
def test_candidates_are_those_of_a_selection_from_all_activations(depth: int) -> None:
    """With cutoffs of the images themselves, so that each neuron has one exactly at its cutoff."""
    network, ids = load(NetworkConfig(network="tests.networks:zoo")), np.arange(COUNT) + 100
    activations, positions = extract_activations(network, PIXELS, BATCH)
    none = Rankings.empty(activations.shape[1], depth)
    everything = select(activations, positions, ids, none.cutoffs)
    assert as_set(find_candidates(network, PIXELS, ids, BATCH, none.cutoffs)) == as_set(everything)
    assert 0 < len(everything) < activations.size
    fold_into(none, everything)
    expected = select(activations, positions, ids, none.cutoffs)
    found = find_candidates(network, PIXELS, ids, BATCH, none.cutoffs)
    assert as_set(found) == as_set(expected)
    assert [a.dtype for a in (found.neurons, found.keys, found.positions)] == [np.int32, np.uint64, np.int32]
    assert len(found) < len(everything) or depth >= COUNT


def test_only_candidates_leave_the_device_once_per_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    network, ids = load(NetworkConfig(network="tests.networks:zoo")), np.arange(COUNT)
    sent: list[torch.Tensor] = []

    def to_host(values: torch.Tensor) -> Any:
        sent.append(values)
        return values.numpy()

    monkeypatch.setattr(extractor, "to_host", to_host)
    rankings = Rankings.empty(first_neurons(network.taps)[-1], 2)
    fold_into(rankings, find_candidates(network, PIXELS, ids, BATCH, rankings.cutoffs))
    sent.clear()
    found = find_candidates(network, PIXELS, ids, BATCH, rankings.cutoffs)
    assert len(sent) == 3  # forwards of 4, 4 and 3 images
    ties = sum(values.shape[1] for values in sent) - len(found)
    # Ties in activation with the cutoff leave the device, too, and lose by their image.
    assert 0 <= ties <= len(found)
    assert len(found) == np.count_nonzero(rankings.positions >= 0)


def test_whole_batches_are_not_copied_on_a_cpu() -> None:
    pixels = PIXELS.copy()
    batches = list(device_batches(pixels, BATCH, CPU))
    assert [(rows.start, rows.stop) for rows, _ in batches] == [(0, 4), (4, 8), (8, 11)]
    assert [np.shares_memory(inputs.numpy(), pixels) for _, inputs in batches] == [True, True, False]
    assert all(inputs.shape == (BATCH, *PIXELS.shape[1:]) for _, inputs in batches)
    for rows, inputs in batches:
        assert np.array_equal(inputs.numpy()[: rows.stop - rows.start], pixels[rows])
    pixels.flags.writeable = False  # as Ray's blocks are: torch would warn
    assert not any(np.shares_memory(inputs.numpy(), pixels) for _, inputs in device_batches(pixels, BATCH, CPU))


def test_no_images() -> None:
    network = load(NetworkConfig(network="tests.networks:zoo"))
    cutoffs = Rankings.empty(first_neurons(network.taps)[-1], 2).cutoffs
    assert len(find_candidates(network, PIXELS[:0], np.empty(0, np.int64), BATCH, cutoffs)) == 0


class Stream:
    """A stream that does at once what it is asked to do, and notes what it must wait for."""

    def __init__(self, _device: object = None) -> None:
        self.waited: list[Event] = []

    def wait_event(self, event: Event) -> None:
        self.waited.append(event)


class Event:
    def __init__(self) -> None:
        self.recorded = self.synchronized = 0

    def record(self, _stream: Stream) -> None:
        self.recorded += 1

    def synchronize(self) -> None:
        self.synchronized += 1


def test_copies_ahead_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a GPU, with streams that are pretended: the right pixels, and each buffer waits for its last use."""
    running = Stream()
    cuda = SimpleNamespace(Stream=Stream, Event=Event, current_stream=lambda _: running, stream=lambda _: nullcontext())
    monkeypatch.setattr(uploads.torch, "cuda", cuda)
    rows = [slice(0, 4), slice(4, 8), slice(8, 11)]
    with mock.patch.object(torch.Tensor, "pin_memory", lambda tensor: tensor):
        batches = uploads._copied(PIXELS, rows, (BATCH, *PIXELS.shape[1:]), CPU)
        before = None
        for number, (each, inputs) in enumerate(batches):
            assert each == rows[number]
            assert np.array_equal(inputs.numpy()[: each.stop - each.start], PIXELS[each])
            if before is not None:  # is still whole while the next one is copied
                assert np.array_equal(before[1].numpy()[:4], PIXELS[before[0]])
            before = each, inputs
            copied = running.waited[-1]
            assert copied.recorded == number // 2 + 1
            assert copied.synchronized == number // 2 + 1
    assert len(running.waited) == 3
    assert running.waited[0] is running.waited[2] is not running.waited[1]
