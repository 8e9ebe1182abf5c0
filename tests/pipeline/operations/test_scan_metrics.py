"""What a scan reports to Ray's metrics: sums over its calls, and where it is."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from raysel.neurons import Candidates
from raysel.pipeline.operations import scan_metrics
from raysel.pipeline.progress import Stage
from raysel.pipeline.scan.call_result import CallResult
from tests.pipeline.conftest import Clock

VALUES: defaultdict[tuple[str, str], float] = defaultdict(float)


class Recorded:
    """A metric that is kept here, and refuses what Ray's counters refuse."""

    def __init__(self, name: str, text: str, tag_keys: tuple[str, ...]) -> None:
        assert text
        self.name, self.tag_keys = name, tag_keys

    def set_default_tags(self, tags: dict[str, str]) -> Recorded:
        assert tuple(tags) == self.tag_keys
        self.tag = tags["scan"]
        return self

    def inc(self, value: float) -> None:
        assert value > 0
        VALUES[self.tag, self.name] += value

    def set(self, value: float) -> None:
        VALUES[self.tag, self.name] = value


def call(covered: list[int], bad: dict[int, str], candidates: int, **more: Any) -> CallResult:
    found = Candidates(*(np.zeros(candidates, kind) for kind in (np.int32, np.uint64, np.int32)))
    return CallResult(np.array(covered, np.int64), bad, found, **more)


def test_counters_are_sums_and_gauges_the_last(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    VALUES.clear()
    monkeypatch.setattr(scan_metrics, "Counter", Recorded)
    monkeypatch.setattr(scan_metrics, "Gauge", Recorded)
    metrics = scan_metrics.ScanMetrics("abc", np.array([1, 10, 100, 1000, -1]))
    stage = Stage("scan", "images", 5)
    metrics.take(call([0, 2], {}, 7, dropped=3, decode_s=0.5, forward_s=2.0))
    metrics.take(call([3], {1: "torn", 4: "of unknown length"}, 0, forward_s=1.0))
    metrics.take(call([], {}, 0))
    stage.advance(2)
    metrics.show(stage)
    clock.now += 2
    stage.advance(3)
    metrics.show(stage)
    assert VALUES == {
        ("abc", "raysel_images"): 5,
        ("abc", "raysel_bad_images"): 2,
        ("abc", "raysel_bytes"): 1111,
        ("abc", "raysel_candidates"): 10,
        ("abc", "raysel_decode_seconds"): 0.5,
        ("abc", "raysel_forward_seconds"): 3.0,
        ("abc", "raysel_images_done"): 5,
        ("abc", "raysel_images_listed"): 5,
        ("abc", "raysel_images_per_second"): 2.5,
    }
