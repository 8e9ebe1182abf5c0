"""The workers that run a classifier over images in color and in gray."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import ray
import torch
from numpy.typing import NDArray

from raysel.config import NetworkConfig
from raysel.interventions.gray import gray
from raysel.network import Classifier
from raysel.pipeline.scan.actor import Batch, check_weights, decode_images, prepare_process

RANKS = pa.schema([("id", pa.int64()), ("color", pa.int64()), ("gray", pa.int64())])
"""An image, and how many classes have a higher score than its own, in color and in gray; -1: it cannot be read."""


class ClassifierActor:
    """Runs the network over images. It keeps no results."""

    def __init__(
        self, config: NetworkConfig, weights_digest: str, batch: int, device: str, classes: ray.ObjectRef
    ) -> None:
        prepare_process(device)
        self._classifier = Classifier(config, device)
        check_weights(self._classifier.weights_digest, weights_digest)
        self._batch = batch
        self._classes: NDArray[np.int64] = ray.get(classes)

    def __call__(self, batch: Batch) -> pa.Table:
        """A row per image, schema `RANKS`. The batch is decoded first unless decode tasks have done so."""
        if "bytes" in batch:
            batch = decode_images(batch, self._classifier.preprocessing)
        good, ids = batch["fault"] == "", batch["id"]
        ranks = np.full((len(ids), 2), -1)
        pixels, classes = batch["pixels"][good], self._classes[ids[good]]
        for column, images in enumerate((pixels, gray(pixels)[0])):
            ranks[good, column] = class_ranks(self._scores(images), classes)
        return pa.table([ids, *ranks.T], schema=RANKS)

    def _scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [images, classes]. Every forward has the same shape, as in a scan."""
        scores = [np.empty((0, self._classifier.outputs), np.float32)]
        for start in range(0, len(pixels), self._batch):
            part = pixels[start : start + self._batch]
            padded = np.zeros((self._batch, *pixels.shape[1:]), np.uint8)
            padded[: len(part)] = part
            scores.append(self._classifier.scores(torch.from_numpy(padded)).numpy()[: len(part)])
        return np.concatenate(scores)


def class_ranks(scores: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many classes come before an image's own: those with a higher score, and of equal scores the first ones.

    Args:
        scores: float32 [images, classes]. NaN comes last.
        classes: int64 [images].

    Returns:
        int64 [images], from 0 (the image's class has the highest score) to classes - 1.
    """
    order = np.argsort(-scores, axis=1, kind="stable")  # sorts NaN to the end
    return np.argmax(order == classes[:, None], axis=1)
