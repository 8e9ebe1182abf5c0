"""What contenders compute, without Ray: the hand-written loop, and the CPU seconds of a process and its children."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from raysel.bench.contenders.hook_loop import TopImages, read_modules
from raysel.bench.contenders.report import BASELINES, contender, is_installed
from raysel.bench.process_tree import run_measured
from raysel.bench.scan_job import TOP, ScanJob
from raysel.config import NetworkConfig, SourceConfig
from raysel.errors import RayselError
from tests.bench.small import network
from tests.chaos.runs import wait_until


def test_the_top_images_of_batches() -> None:
    maps = torch.from_numpy(np.random.default_rng(0).normal(size=(250, 3, 2, 2)).astype(np.float32))
    maps[:, 2] = -1.0
    found, ids = TopImages(), torch.arange(250) + 7
    for start in range(0, 250, 32):
        found.add(maps[start : start + 32], ids[start : start + 32])
    images, activations = found.top()
    assert images.shape == activations.shape == (3, TOP)
    flat = maps.numpy().reshape(250, 3, 4)
    for channel in range(2):
        order = np.argsort(-flat[:, channel].max(axis=1))[:TOP]
        assert images[channel].tolist() == (order + 7).tolist()
        assert found.positions[:, channel].tolist() == flat[order, channel].argmax(axis=1).tolist()
    assert set(images[2].tolist()) == {-1}


def test_fewer_images_than_a_ranking_has() -> None:
    found = TopImages()
    found.add(torch.ones(5, 2, 1, 1), torch.arange(5))
    images, activations = found.top()
    assert images.shape == activations.shape == (2, TOP)
    assert [sorted(row) for row in images.tolist()] == [[-1] * (TOP - 5) + [0, 1, 2, 3, 4]] * 2


def test_a_layer_is_read_behind_its_batch_norm() -> None:
    module = network()[0].eval()
    assert read_modules(module, ["0", "3"], torch.zeros(1, 3, 32, 32)) == {"0": "1", "3": "3"}
    assert isinstance(module[1], nn.BatchNorm2d)
    assert not any(child._forward_hooks for child in module)


def test_a_job_travels_as_text() -> None:
    job = ScanJob(NetworkConfig(network="a:b", layers=("x",)), SourceConfig(images="there", limit=3), 2, 16, 1)
    assert ScanJob.from_json(job.to_json()) == job


@pytest.mark.parametrize("name", [name for name in BASELINES if is_installed(name)])
def test_every_baseline_that_is_installed_can_be_imported(name: str) -> None:
    assert callable(contender(name))


SPIN = "import time\nwhile time.process_time() < 1.0: pass"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CPU times of others are read from /proc")
def test_cpu_seconds_of_children_that_nobody_waits_for() -> None:
    """As Ray's raylet leaves its workers: their parent ignores SIGCHLD."""
    parent = f"""
import signal, subprocess, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
children = [subprocess.Popen([sys.executable, "-c", {SPIN!r}]) for _ in range(2)]
for child in children: child.wait()
"""
    ran = run_measured([sys.executable, "-c", parent], "spinning")
    assert ran.cpu_seconds is not None
    assert 1.6 < ran.cpu_seconds < 2.6
    assert [seconds for _, seconds in ran.cpu] == sorted(seconds for _, seconds in ran.cpu)


def test_a_command_that_fails() -> None:
    with pytest.raises(RayselError, match="this one failed: too bad"):
        run_measured([sys.executable, "-c", "import sys; sys.exit('too bad')"], "this one")


def test_a_command_that_is_interrupted_cleans_up(tmp_path: Path) -> None:
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    command = f"""
import pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
try:
    pathlib.Path({str(ready)!r}).touch()
    while True: signal.pause()
finally:
    pathlib.Path({str(cleaned)!r}).touch()
"""
    caller = f"""
import signal, sys
from raysel.bench.process_tree import run_measured
signal.signal(signal.SIGINT, signal.default_int_handler)
run_measured([sys.executable, "-c", {command!r}], "this one")
"""
    with subprocess.Popen([sys.executable, "-c", caller], stderr=subprocess.DEVNULL) as process:
        wait_until(ready.exists, alive=lambda: process.poll() is None)
        process.send_signal(signal.SIGINT)
        assert process.wait(60)
    assert cleaned.exists()
