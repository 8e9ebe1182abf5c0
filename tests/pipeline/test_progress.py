"""Progress without a terminal."""

from __future__ import annotations

import re

import pytest

from raysel.pipeline.progress import Reporter, Stage
from tests.pipeline.conftest import Clock


def test_the_line_of_a_stage(clock: Clock) -> None:
    stage = Stage("scan", "images", 12_000)
    assert stage.line() == "scan: 0 of 12,000 images, 0.0 images/s, starting"
    clock.now += 20
    stage.advance(3_000)
    stage.advance(1_000)
    assert (stage.seconds, stage.rate) == (20, 200)
    assert stage.line() == "scan: 4,000 of 12,000 images, 200.0 images/s, 40 s left"
    clock.now += 40
    stage.advance(8_000)
    assert stage.line() == "scan: 12,000 of 12,000 images, 200.0 images/s, 0 s left"


def test_the_line_of_a_stage_without_a_total(clock: Clock) -> None:
    stage = Stage("publish", "files", None)
    clock.now += 7
    stage.advance(1_234)
    assert stage.line() == "publish: 1,234 files, 7 s"


def test_a_resumed_stage_counts_only_its_own_units_as_speed(clock: Clock) -> None:
    stage = Stage("scan", "images", 1000)
    stage.resume_at(600)
    assert stage.line() == "scan: 600 of 1,000 images, 0.0 images/s, starting"
    clock.now += 10
    stage.advance(100)
    assert stage.line() == "scan: 700 of 1,000 images, 10.0 images/s, 30 s left"


def test_one_plain_line_every_ten_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    with reporter.stage("scan", "images", 1000) as stage:
        for _ in range(100):
            clock.now += 0.5
            stage.advance(10)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 5
    assert lines[0] == "raysel scan: 200 of 1,000 images, 20.0 images/s, 40 s left"
    assert not re.search(r"[\x1b\r]", err)
    assert reporter.seconds == {"scan": 50.0}


def test_a_short_stage_prints_nothing_and_is_timed(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    for spent in (2.0, 3.0):
        with reporter.stage("plan", "shards", 4) as stage:
            clock.now += spent
            stage.advance(4)
    assert capsys.readouterr().err == ""
    assert reporter.seconds == {"plan": 5.0}


def test_a_stage_that_fails_is_timed(clock: Clock) -> None:
    reporter = Reporter()

    def fail() -> None:
        with reporter.stage("scan", "images", 4):
            clock.now += 4
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert reporter.seconds == {"scan": 4.0}


def test_a_line_is_printed_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter().say("scan: [red]" + "x" * 300)
    assert capsys.readouterr().err == f"raysel scan: [red]{'x' * 300}\n"
