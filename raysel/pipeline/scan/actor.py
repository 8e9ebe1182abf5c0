"""The scan's workers: decode, forward, and per call one row of what was found. They keep no results."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import BadImageError, RayselError
from raysel.images import decode
from raysel.network import keep_freed_memory, load
from raysel.neurons import select
from raysel.pipeline.scan.call_result import CallResult
from raysel.pipeline.scan.cutoffs import CutoffPoll
from raysel.pipeline.scan.extractor import ActivationExtractor

Pixels = dict[str, NDArray]
"""``id`` int64 [n], ``pixels`` uint8 [n, H, W, 3], ``fault`` str [n] (empty: the image is good), ``decode_s`` [n]."""


@dataclass(frozen=True)
class Decoding:
    """Bytes to the very pixels that the network sees. A bad image becomes black pixels with its fault beside them."""

    preprocessing: Preprocessing

    def __call__(self, rows: pa.Table) -> Pixels:
        started = time.thread_time()
        pixels = np.zeros((len(rows), *self.preprocessing.input_size, 3), np.uint8)
        faults = [""] * len(rows)
        for number, content in enumerate(rows.column("bytes")):
            try:
                pixels[number] = decode(content.as_buffer().to_pybytes(), self.preprocessing).pixels
            except BadImageError as fault:
                faults[number] = str(fault)
        seconds = (time.thread_time() - started) / max(len(rows), 1)
        return {
            "id": rows.column("id").to_numpy(),
            "pixels": pixels,
            "fault": np.array(faults, dtype=str),
            "decode_s": np.full(len(rows), seconds),
        }


@dataclass(frozen=True)
class ActorSettings:
    """What a scan actor is made of. The network comes by its address: a model in the object store can be lost."""

    network: NetworkConfig
    weights_digest: str
    """Of the weights that the run began with."""
    batch: int
    """Images in one forward."""
    device: str
    """``cpu`` or ``cuda``."""
    floor_name: str
    """Of the floor's keeper."""


class ScanActor:
    """Forward passes over decoded pixels. Each call returns what it found in its own images, always as one row."""

    def __init__(self, settings: ActorSettings) -> None:
        torch.set_num_threads(1)
        keep_freed_memory()
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        if settings.device == "cuda" and not torch.cuda.is_available():
            raise RayselError(
                "the actor holds a GPU, but torch sees no CUDA device: install torch built for CUDA there"
            )
        # Asked for before the network is loaded: by the first call the floors are there.
        self._floor = CutoffPoll(settings.floor_name)
        network = load(settings.network)
        if network.weights_digest != settings.weights_digest:
            raise RayselError("the network's weights changed while the run went on: start it again")
        self._observe = ActivationExtractor(network, settings.batch, settings.device)

    def __call__(self, batch: Pixels) -> pa.Table:
        started = time.perf_counter()
        good = batch["fault"] == ""
        faults = dict(zip(batch["id"][~good].tolist(), batch["fault"][~good].tolist(), strict=True))
        ids = batch["id"][good]
        activations, positions = self._observe(batch["pixels"][good])
        candidates = select(activations, positions, ids, self._floor.poll(self._observe.neurons))
        return CallResult(
            ids,
            faults,
            candidates,
            floor_images=self._floor.images,
            decode_s=float(batch["decode_s"].sum()),
            forward_s=time.perf_counter() - started,
        ).to_row()


class DecodingScanActor:
    """The CPU layout: one thread decodes, then runs the forward, so that cores never wait for each other."""

    def __init__(self, settings: ActorSettings, decoding: Decoding) -> None:
        self._decoding, self._scan = decoding, ScanActor(settings)

    def __call__(self, rows: pa.Table) -> pa.Table:
        return self._scan(self._decoding(rows))
