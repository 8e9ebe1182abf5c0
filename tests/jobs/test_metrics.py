"""Metrics of a scan as Prometheus finds them at a head."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.jobs.conftest import Head, running_head
from tests.typed import environment

pytestmark = pytest.mark.ray

_DRIVER = """
import sys
import numpy as np
import ray
from raysel.neurons import Candidates
from raysel.pipeline.progress import Stage
from raysel.pipeline.scan.call_result import CallResult
from raysel.pipeline.operations.scan_metrics import ScanMetrics

ray.init(sys.argv[1], log_to_driver=False)
stage, metrics = Stage("scan", "images", 9), ScanMetrics("abc", np.full(9, 1000))
nothing = Candidates(*(np.zeros(5, kind) for kind in (np.int32, np.uint64, np.int32)))
metrics.take(CallResult(np.arange(4), {7: "torn"}, nothing))
stage.advance(5)
metrics.show(stage)
sys.stdin.read()
"""


def _metrics(head: Head) -> str:
    try:
        return requests.get(head.metrics, timeout=60).text
    except requests.RequestException:  # the agent of the head starts after its dashboard
        return ""


def test_prometheus_finds_the_metrics(home: Path):
    wanted = {
        "ray_raysel_images_total": 5,
        "ray_raysel_bad_images_total": 1,
        "ray_raysel_bytes_total": 5000,
        "ray_raysel_candidates_total": 5,
        "ray_raysel_images_done": 5,
        "ray_raysel_images_listed": 9,
    }
    quick = {"RAY_AUTH_MODE": "disabled", "RAY_metrics_report_interval_ms": "500"}
    with running_head(home, **quick) as head:
        driver = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, head.address], env=environment(home, **quick), stdin=subprocess.PIPE
        )
        try:
            found: dict[str, float] = {}
            end = time.monotonic() + 400
            while found != wanted and time.monotonic() < end:
                assert driver.poll() is None
                text = _metrics(head)
                lines = re.findall(r'^(\w+)\{[^}]*scan="abc"[^}]*\} (\S+)$', text, re.MULTILINE)
                found = {name: float(value) for name, value in lines if name in wanted}
                time.sleep(0.2)
            assert found == wanted
        finally:
            driver.kill()
            driver.wait()
