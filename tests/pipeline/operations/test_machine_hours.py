"""Machine hours: from made-up rates, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.pipeline.operations.machine_hours import MeasuredRates, machine_hours
from tests.store.synthetic import build
from tests.typed import raysel_here

CPUS = MeasuredRates(gpu=False, decode=100, forward=25, derive_s=1800, derive_images=50_000)
GPUS = MeasuredRates(gpu=True, decode=100, forward=1_000, derive_s=1800, derive_images=50_000)


def test_cores_share_the_work():
    """A million images: 10,000 s to decode and 40,000 s to compute; derive decodes 50,000 images in 500 s."""
    one, ten = machine_hours(CPUS, 1_000_000, 1), machine_hours(CPUS, 1_000_000, 10)
    assert one.scan_hours == pytest.approx(50_000 / 3600)
    assert one.derive_hours == pytest.approx(2_300 / 3600)
    assert one.core_hours == pytest.approx(one.hours)
    assert ten.hours == pytest.approx(one.hours / 10)
    assert (ten.core_hours, ten.gpu_hours) == (pytest.approx(one.core_hours), 0)


def test_gpus_have_the_cores_that_they_need():
    assert GPUS.cores_per_gpu == 10
    two = machine_hours(GPUS, 1_000_000, 2)
    assert two.cores == 20
    assert two.scan_hours == pytest.approx(500 / 3600)
    assert two.derive_hours == pytest.approx(2_300 / 20 / 3600)
    assert two.gpu_hours == pytest.approx(2 * (500 + 115) / 3600)
    assert two.core_hours == pytest.approx(20 * (500 + 115) / 3600)


def test_a_slow_gpu_has_one_core():
    slow = MeasuredRates(gpu=True, decode=1000, forward=50, derive_s=0, derive_images=0)
    assert machine_hours(slow, 1000, 1).cores == 1
    assert machine_hours(slow, 1000, 1).scan_hours == pytest.approx(20 / 3600)


def test_few_images_are_decoded_once_by_derive():
    assert machine_hours(CPUS, 1_000, 1).derive_hours == pytest.approx((1800 + 10) / 3600)


def test_the_rates_of_an_index_and_the_command(tmp_path: Path):
    manifest = build(tmp_path / "index").manifest
    counts = manifest.counts
    counters = {"scan.decode_s": 2.0, "scan.forward_s": 8.0, "derive.kernel_s": 3.0}
    measured = manifest.model_copy(
        update={"counters": counters, "config": {"scan": {"gpus": 0}, "derive": {"n_max": 7}}}
    )
    rates = MeasuredRates.of(measured)
    good = counts.images - counts.quarantined
    assert (rates.gpu, rates.decode, rates.forward) == (False, good / 2, good / 8)
    assert (rates.derive_s, rates.derive_images) == (3.0, 7 * counts.neurons)
    with pytest.raises(RayselError, match="has no rates of a scan"):
        MeasuredRates.of(manifest.model_copy(update={"counters": {}}))
    (tmp_path / "index" / "manifest.json").write_bytes(measured.to_json())
    options = ("--images", "36000", "--workers", "2", "--workers", "10")
    found = json.loads(raysel_here(tmp_path, "bench", "plan", "index", *options, "--json").out)
    assert [each["workers"] for each in found["plans"]] == [2, 10]
    assert found["plans"][1]["scan_hours"] == pytest.approx(36_000 * 10 / good / 10 / 3600)
    said = raysel_here(tmp_path, "bench", "plan", "index", *options)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("36,000 images at ")
    assert len(said.out.splitlines()) == 4
