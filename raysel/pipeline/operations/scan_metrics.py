"""Rates and counters of a scan in Ray's metrics, for Prometheus and Ray's dashboard. The driver reports them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from ray.util.metrics import Counter, Gauge

from raysel.pipeline.progress import Stage
from raysel.pipeline.scan.call_result import CallResult

_TAGS = ("scan",)
_COUNTERS = {
    "raysel_images": "Images that actors have returned, also those of calls that ran again",
    "raysel_bad_images": "Images that cannot be used",
    "raysel_bytes": "Bytes of these images as files",
    "raysel_candidates": "Candidates that actors sent",
    "raysel_decode_seconds": "Core seconds of decoding",
    "raysel_forward_seconds": "Seconds of actors in forward passes",
}
_GAUGES = {
    "raysel_images_done": "Images that are covered or in quarantine",
    "raysel_images_listed": "Images in the list",
    "raysel_images_per_second": "Images per second since the scan began or resumed",
}


class ScanMetrics:
    """The metrics of one scan. Prometheus sees each with Ray's prefix ``ray_``, counters also with ``_total``."""

    def __init__(self, fingerprint: str, lengths: NDArray[np.int64]) -> None:
        """Declare the metrics.

        Args:
            fingerprint: the scan's fingerprint; the tag ``scan``.
            lengths: [images], bytes of each image.
        """
        tag = {"scan": fingerprint}
        self._lengths = lengths
        self._counters = {name: Counter(name, text, _TAGS).set_default_tags(tag) for name, text in _COUNTERS.items()}
        self._gauges = {name: Gauge(name, text, _TAGS).set_default_tags(tag) for name, text in _GAUGES.items()}

    def take(self, found: CallResult) -> None:
        """Count the result of some calls."""
        images = np.concatenate([found.covered, np.array(list(found.bad), np.int64)])
        counted = {
            "raysel_images": len(images),
            "raysel_bad_images": len(found.bad),
            "raysel_bytes": int(self._lengths[images].clip(0).sum()),
            "raysel_candidates": found.sent,
            "raysel_decode_seconds": found.decode_s,
            "raysel_forward_seconds": found.forward_s,
        }
        for name, value in counted.items():
            if value > 0:  # Ray refuses to add nothing
                self._counters[name].inc(value)

    def show(self, stage: Stage) -> None:
        """Show how far the scan is."""
        self._gauges["raysel_images_done"].set(stage.done)
        self._gauges["raysel_images_listed"].set(stage.total or 0)
        self._gauges["raysel_images_per_second"].set(stage.rate)
