"""Machines are lost, in scan and in derive, and none replaces them; others join in mid-scan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.cluster import add_machine, machines
from tests.chaos.commands import started, typed
from tests.chaos.faults import events, set_fault
from tests.chaos.runs import Undisturbed, fragile_run, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_a_machine_is_lost_in_scan_and_one_in_derive(undisturbed: Undisturbed, faults: Path, tmp_path: Path) -> None:
    """Four actors on four machines with one CPU each: no machine has room for the lost one's actor.

    The first forwards wait until each actor has one.
    """
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=4, lost_machine_wait_s=4)
    in_scan = set_fault(faults, "forward", "hold")
    in_derive = set_fault(faults, "task-decode", "hold", after=5)
    said = tmp_path / "said"
    with machines(4) as cluster, started(typed(config, tmp_path / "run.toml", cluster.address), said) as run:

        def lose(event: str) -> None:
            """Remove the machine of a process that is held at this event."""
            wait_until(lambda: bool(held(faults / "log", event)), alive=lambda: run.poll() is None)
            process, place = held(faults / "log", event)[0]
            cluster.remove_node(
                next(node for node in cluster.worker_nodes if node.node_id == place), allow_graceful=False
            )
            # Otherwise its result may still arrive.
            wait_until(lambda: not Path(f"/proc/{process}").exists())

        wait_until(lambda: len(held(faults / "log", "forward")) == 4, alive=lambda: run.poll() is None)
        lose("forward")
        in_scan.unlink()
        lose("task-decode")
        in_derive.unlink()
        assert run.wait(240) == 0, said.read_text()
    undisturbed.assert_same(config.out)
    assert "a machine was lost: continuing" in said.read_text()
    assert "there is room for 3 of 4 actors" in said.read_text()
    log = faults / "log"
    lost = {held(log, event)[0][1] for event in ("forward", "task-decode")}
    assert len(lost) == 2
    assert undisturbed.decoded(faults) > undisturbed.good, "the lost machine's calls ran again"


def test_a_machine_that_joins_is_used(undisturbed: Undisturbed, faults: Path, tmp_path: Path) -> None:
    """The only actor with a place waits in its first forward until another has begun one, too."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults, workers=2)
    hold, log, said = set_fault(faults, "forward", "hold"), faults / "log", tmp_path / "said"
    with machines(1) as cluster, started(typed(config, tmp_path / "run.toml", cluster.address), said) as run:
        wait_until(lambda: bool(held(log, "forward")), alive=lambda: run.poll() is None)
        add_machine(cluster)
        wait_until(lambda: len({node for _, node in held(log, "forward")}) == 2, alive=lambda: run.poll() is None)
        hold.unlink()
        assert run.wait(240) == 0, said.read_text()
    undisturbed.assert_same(config.out)
    assert "there is room for 1 of 2 actors; the others start when machines join" in said.read_text()


def held(log: Path, event: str) -> list[tuple[str, str]]:
    """(process, machine's id) of the workers that wait at an event."""
    return [(process, node) for name, process, _, node in events(log) if name == f"held-in-{event}"]
