"""The two fingerprints: what the rankings depend on, and what the index depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raysel.config import RunConfig
from raysel.images import DECODER, ImagesList
from raysel.marks import Enters, marked
from raysel.neurons import Tap
from raysel.pipeline.scan.layout import forward_batch
from raysel.selectivity import Concepts, plugin_versions

if TYPE_CHECKING:  # an index is derived again without torch
    from raysel.network import Network

SCAN_VERSION = 2
"""Increment this when the same inputs give other rankings.

2: images run alone in networks that mix the images of a batch and in those that cannot be traced.
"""
DERIVE_VERSION = 10
"""Increment this when the same rankings give another index.

2: neuron features are plain sums in float64, which changes their last bits, and there is no option `border`.
3: receptive fields are rectangles with exact positions, and crops hide what their position does not see.
4: a field that is larger than the input is cut at its own position, unless every position sees the whole input.
5: indexes of color names, of concepts and of sharpness.
6: a convolution that is called as a function without a stride has stride 1; columns of interventions.
7: fields behind group norm over rows, instance norm with stored statistics and batch norm without.
8: the chance level is not below 0 by a rounding error.
9: pictures are smaller, and float16 features are an option; columns of the neurons table are as before.
10: color names of crops are summed pixel by pixel, which changes their last digits.
"""


@dataclass(frozen=True)
class Fingerprints:
    """Hexadecimal digests. The same fingerprint means the same content, up to the last bits of another device."""

    scan: str
    """Digest of weights, operations, taps, preprocessing, decoder, dtype, batch shape, images list and depth."""
    index: str
    """Digest of the scan fingerprint, the labels and what they mean, the options marked `Enters.INDEX`, and the
    packages that add indexes."""

    @classmethod
    def of(
        cls, config: RunConfig, network: Network, images: ImagesList, classes: pa.Table, concepts: Concepts
    ) -> Fingerprints:
        """For a run over `images`, whose labels are the ones to use; `classes` and `concepts` say what they mean."""
        scan = _digest(
            version=SCAN_VERSION,
            weights=network.weights_digest,
            graph=network.graph_digest,
            taps=[tap_record(tap) for tap in network.taps],
            preprocessing={**asdict(network.preprocessing), "average_image": None},  # its content is in the weights
            decoder=DECODER,
            batch=forward_batch(config.scan),
            images=images.digest,
            **_values(config, Enters.SCAN),
        )
        return cls.over(scan, config, images, classes, concepts)

    @classmethod
    def over(
        cls, scan: str, config: RunConfig, images: ImagesList, classes: pa.Table, concepts: Concepts
    ) -> Fingerprints:
        """For an index over the scan with the fingerprint `scan`; the rest as in `of`."""
        above = {**asdict(concepts), "cut": sorted(concepts.cut or ())}
        labels = {"of_images": _labels_digest(images), "classes": classes.to_pylist(), "concepts": above}
        parts = {"derive": _values(config, Enters.INDEX), "plugins": plugin_versions()}
        index = _digest(version=DERIVE_VERSION, scan=scan, labels=labels, **parts)
        return cls(scan, index)


def _values(config: RunConfig, which: Enters) -> dict[str, Any]:
    """Name -> value of the options whose value is part of a fingerprint."""
    stages = (config.source, config.network, config.scan, config.derive)
    return {name: value for stage in stages for name, value in marked(stage, which).items()}


def tap_record(tap: Tap) -> dict[str, Any]:
    """A tap as plain data, without its receptive field, on which no ranking depends."""
    return {"layer": tap.layer, "channels": tap.channels, "map": list(tap.map_size), "reading": tap.reading}


def _labels_digest(images: ImagesList) -> str:
    digest = hashlib.sha256()
    for label in images.images["label"].to_pylist():
        digest.update(b"\0" if label is None else b"\1" + label.encode() + b"\0")
    return digest.hexdigest()


def _digest(**parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
