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


def test_workers_of_every_kind_die(
    undisturbed: Undisturbed,
    faults: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Actors while they start, while they decode and in mid-batch, and tasks in the middle of a slice and of a chunk.

    A call has two forwards and dies in the second: the candidates of the first are lost with the actor.
    """
    deaths = {"start": 0, "actor-decode": 37, "forward": 5, "read": 50, "task-decode": 20}
    opened = run_module.open_source

    def open_fragile(*arguments, **options):
        return FragileSource(opened(*arguments, **options), str(faults))

    monkeypatch.setattr(run_module, "open_source", open_fragile)
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=2, call_images=16)
    for event, after in deaths.items():
        set_fault(faults, event, "exit", after)
    run(config)
    undisturbed.assert_same(config.out)
    happened = count(faults / "log")
    assert {event: happened[f"died-in-{event}"] for event in deaths} == dict.fromkeys(deaths, 1)
    assert undisturbed.decoded(faults) > undisturbed.good, "a call ran again"
    assert capsys.readouterr().out == "", "stdout is for the summary, and not for Ray"


def test_a_decoding_task_and_a_gpu_actor_die(undisturbed: Undisturbed, faults: Path, tmp_path: Path) -> None:
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=None, gpus=1, device="cpu")
    set_fault(faults, "task-decode", "exit", after=20)
    set_fault(faults, "forward", "exit", after=6)
    run(config)
    undisturbed.assert_same(config.out)
    happened = count(faults / "log")
    assert (happened["died-in-task-decode"], happened["died-in-forward"]) == (1, 1)
