"""The scan's workers: they decode, run the network, and return one row of candidates per call. They keep no results."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import BadImageError, RayselError
from raysel.images import decode
from raysel.network import Network, keep_freed_memory, load
from raysel.neurons import Candidates, first_neurons
from raysel.pipeline.scan.call_result import CallResult
from raysel.pipeline.scan.cutoffs import CutoffPoll
from raysel.pipeline.scan.extractor import find_candidates

Batch = dict[str, NDArray]
"""Some images. As read, one value per group of images (`raysel.pipeline.scan.slice_reader.BYTES`). Decoded, one value
per image in every array: ``id`` int64, ``pixels`` uint8 [images, H, W, 3], ``fault`` str (why the image is bad, empty
if it is good), ``decode_s`` float64."""


def decode_images(batch: Batch, preprocessing: Preprocessing) -> Batch:
    """Decode a batch as read to the pixels that the network sees. A bad image becomes black pixels."""
    started = time.thread_time()
    ids, contents = np.concatenate(batch["id"]), np.concatenate(batch["bytes"])
    count = len(ids)
    pixels = np.zeros((count, *preprocessing.input_size, 3), np.uint8)
    faults = [""] * count
    for number, content in enumerate(contents):
        try:
            pixels[number] = decode(content, preprocessing)
        except BadImageError as fault:
            faults[number] = str(fault)
    seconds = (time.thread_time() - started) / max(count, 1)
    return {
        "id": ids,
        "pixels": pixels,
        "fault": np.array(faults, dtype=str),
        "decode_s": np.full(count, seconds),
    }


@dataclass(frozen=True)
class ActorSettings:
    """What a scan actor needs. It loads the networks itself: a model in Ray's object store can be lost."""

    networks: tuple[tuple[NetworkConfig, str], ...]
    """Each with the digest of the weights with which its run began. All take the same pixels."""
    batch: int
    """Images in one forward."""
    device: str
    """``cpu`` or ``cuda``."""
    neurons: int
    """Channels of all taps of all networks together."""
    cutoffs: Any
    """Ray's handle of the `CutoffKeeper`."""


def prepare_process(device: str) -> None:
    """Set up an actor's process for exact results on `device`.

    Raises:
        RayselError: there is no CUDA device.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if device == "cuda" and not torch.cuda.is_available():
        raise RayselError("the actor has a GPU but torch finds no CUDA device: install torch with CUDA support")


def check_weights(digest: str, expected: str) -> None:
    """Fail if an actor has loaded other weights than its driver.

    Raises:
        RayselError: the digests differ.
    """
    if digest != expected:
        raise RayselError("the network's weights are not those with which the run began: restore them and run again")


def actor_network(config: NetworkConfig, weights_digest: str, device: str) -> Network:
    """The network of an actor, in a process that is set up for exact results.

    Raises:
        RayselError: the weights are not those with the digest, or there is no CUDA device.
    """
    prepare_process(device)
    network = load(config).to(device)
    check_weights(network.weights_digest, weights_digest)
    return network


class ScanActor:
    """Runs networks over images. Each call returns what it found in its own images, always as one row."""

    def __init__(self, settings: ActorSettings) -> None:
        # Loading a network takes seconds, in which the first cutoffs arrive.
        self._cutoffs = CutoffPoll(settings.cutoffs, settings.neurons)
        self._networks = [actor_network(config, digest, settings.device) for config, digest in settings.networks]
        self._batch = settings.batch

    def __call__(self, batch: Batch) -> pa.Table:
        """Find the candidates in a batch, which is decoded first unless decode tasks have done so."""
        if "bytes" in batch:
            batch = decode_images(batch, self._networks[0].preprocessing)
        started = time.perf_counter()
        good = batch["fault"] == ""
        ids, pixels, cutoffs = batch["id"][good], batch["pixels"], self._cutoffs.poll()
        if not good.all():
            pixels = pixels[good]
        found, first = [], 0
        for network in self._networks:
            end = first + first_neurons(network.taps)[-1]
            own = find_candidates(network, pixels, ids, self._batch, cutoffs[first:end])
            found.append(replace(own, neurons=own.neurons + np.int32(first)))
            first = end
        return CallResult(
            covered=ids,
            bad=dict(zip(batch["id"][~good].tolist(), batch["fault"][~good].tolist(), strict=True)),
            candidates=Candidates.concatenate(found).within(self._cutoffs.poll()),
            cutoff_images=self._cutoffs.images,
            decode_s=float(batch["decode_s"].sum()),
            forward_s=time.perf_counter() - started,
        ).to_row()
