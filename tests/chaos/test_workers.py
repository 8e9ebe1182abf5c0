"""Workers die: actors in mid-batch, tasks that read, decode or derive. The run continues without help."""

from __future__ import annotations

from pathlib import Path

import pytest

import raysel.pipeline.run as run_module
from tests.chaos.faults import count, set_fault
from tests.chaos.runs import Undisturbed, fragile_run
from tests.chaos.sources import FragileSource
from tests.end_to_end.runs import run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_an_actor_dies_in_mid_batch(
    undisturbed: Undisturbed, faults: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call has two forwards and dies in the second: the candidates of the first are lost with the actor."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=2, call_images=16)
    set_fault(faults, "forward", "exit", after=5)
    run(config)
    undisturbed.assert_same(config.out)
    happened = count(faults / "log")
    assert happened["died-in-forward"] == 1
    assert undisturbed.decoded(faults) > undisturbed.good, "a call ran again"
    assert capsys.readouterr().out == "", "stdout is for the summary, and not for Ray"


def test_actors_die_while_they_start_and_while_they_decode(
    undisturbed: Undisturbed, faults: Path, tmp_path: Path
) -> None:
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=2)
    set_fault(faults, "start", "exit")
    set_fault(faults, "actor-decode", "exit", after=37)
    run(config)
    undisturbed.assert_same(config.out)
    happened = count(faults / "log")
    assert (happened["died-in-start"], happened["died-in-actor-decode"]) == (1, 1)


def test_a_decoding_task_and_a_gpu_actor_die(undisturbed: Undisturbed, faults: Path, tmp_path: Path) -> None:
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=None, gpus=1, device="cpu")
    set_fault(faults, "task-decode", "exit", after=20)
    set_fault(faults, "forward", "exit", after=6)
    run(config)
    undisturbed.assert_same(config.out)
    happened = count(faults / "log")
    assert (happened["died-in-task-decode"], happened["died-in-forward"]) == (1, 1)


def test_a_reading_task_and_a_deriving_task_die(
    undisturbed: Undisturbed, faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading task dies in the middle of its slice."""
    opened = run_module.open_source

    def open_fragile(*arguments, **options):
        return FragileSource(opened(*arguments, **options), str(faults))

    monkeypatch.setattr(run_module, "open_source", open_fragile)
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=2)
    set_fault(faults, "read", "exit", after=50)
    set_fault(faults, "task-decode", "exit", after=20)
    run(config)
    undisturbed.assert_same(config.out)
    happened = count(faults / "log")
    assert (happened["died-in-read"], happened["died-in-task-decode"]) == (1, 1)
