"""Snapshots of the running state, and how much of the time they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from raysel.bench.merge_simulation import MergeLoad, simulate_merge
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.neurons import Rankings
from raysel.pipeline.scan.state import SHARE_OF_TIME, RunningState, Snapshots
from raysel.store import put_snapshot
from tests.pipeline.conftest import Clock


class Held:
    """A lock that is held."""

    def confirm(self) -> None:
        """Does nothing."""


def some_state() -> RunningState:
    state = RunningState(Rankings.empty(7, 5), np.zeros(1000, bool))
    state.covered[default_rng(0).permutation(1000)[:300]] = True
    state.quarantine[999] = "no image"
    state.covered[999] = False
    state.rankings().keys[:, 0] = default_rng(1).integers(0, 2**62, 7)
    state.rankings().positions[:, 0] = 3
    state.candidates_sent, state.cutoff_lag, state.decode_s = 123_456_789_012, 17, 1.5
    return state


def test_a_state_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    state, snapshots = some_state(), Snapshots(Folder.at(tmp_path), "scan", 30, Held())  # type: ignore[arg-type]
    assert snapshots.load() is None
    snapshots.put(state)
    back = snapshots.load()
    assert back is not None
    assert back.rankings().keys.tolist() == state.rankings().keys.tolist()
    assert back.rankings().positions.tolist() == state.rankings().positions.tolist()
    assert back.missing().tolist() == state.missing().tolist()
    assert (back.quarantine, back.candidates_sent, back.cutoff_lag) == (state.quarantine, 123_456_789_012, 17)
    assert Snapshots(Folder.at(tmp_path), "another scan", 30, Held()).load() is None  # type: ignore[arg-type]


def test_a_run_that_lost_its_lock_saves_nothing(tmp_path: Path) -> None:
    class Lost:
        def confirm(self) -> None:
            raise RayselError("the lock was lost")

    with pytest.raises(RayselError, match="lost"):
        Snapshots(Folder.at(tmp_path), "scan", 30, Lost()).put(some_state())  # type: ignore[arg-type]
    assert list(tmp_path.rglob("*.npz")) == []


def test_a_damaged_snapshot_is_not_loaded(tmp_path: Path) -> None:
    """With any wrong byte, or cut anywhere, `load` returns None or the state that was saved."""
    state, folder = some_state(), Folder.at(tmp_path)
    snapshots = Snapshots(folder, "scan", 30, Held())  # type: ignore[arg-type]
    snapshots.put(state)
    file = tmp_path / "runs" / "scan" / "state.npz"
    whole = file.read_bytes()
    damaged = [whole[:end] for end in range(0, len(whole), 97)]
    damaged += [whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :] for at in range(len(whole))]
    refused = 0
    for content in damaged:
        file.write_bytes(content)
        back = snapshots.load()
        refused += back is None
        if back is not None:
            assert back.rankings().keys.tolist() == state.rankings().keys.tolist()
            assert back.missing().tolist() == state.missing().tolist()
    assert refused > len(damaged) / 2


def test_slow_snapshots_take_a_twentieth_of_the_time(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes 9 s, so they are saved every 3 minutes and not every 30 s."""
    spent = 0.0

    def slow(*_: Any) -> None:
        nonlocal spent
        clock.now += 9
        spent += 9

    monkeypatch.setattr("raysel.pipeline.scan.state.put_snapshot", slow)
    snapshots, began = Snapshots(Folder.at(tmp_path), "scan", 30, Held()), clock.now  # type: ignore[arg-type]
    while clock.now < began + 3600:
        snapshots.save_if_due(some_state())
        clock.now += 1
    assert 0 < spent / 3600 <= SHARE_OF_TIME


def test_quick_snapshots_are_saved_as_often_as_asked(tmp_path: Path, clock: Clock) -> None:
    snapshots = Snapshots(Folder.at(tmp_path), "scan", 30, Held())  # type: ignore[arg-type]
    file, times = tmp_path / "runs" / "scan" / "state.npz", []
    for _ in range(200):
        snapshots.save_if_due(some_state())
        if file.exists():
            times.append(clock.now - 1000)
            file.unlink()
        clock.now += 1
    assert times == [30, 60, 90, 120, 150, 180]


def test_an_entry_takes_twelve_bytes_in_memory_and_in_a_snapshot(tmp_path: Path) -> None:
    rankings = RunningState.empty(1000, 400, 1_281_167).rankings()
    assert (rankings.keys.nbytes + rankings.positions.nbytes) / rankings.keys.size == 12
    put_snapshot(Folder.at(tmp_path), "x", RunningState.empty(1000, 400, 1_281_167).arrays())
    assert (tmp_path / "x").stat().st_size < 1000 * 400 * 12 + 1_281_167 / 8 + 4096


@pytest.mark.parametrize(("neurons", "depth"), [(2000, 100), (200, 400)])
def test_a_large_scan_sends_as_many_candidates_as_the_formula(neurons: int, depth: int, tmp_path: Path) -> None:
    """At most 1.3 times ``C (depth (1 + ln(n / depth)) + s)``."""
    load = MergeLoad(images=100_000, neurons=neurons, depth=depth)
    figures = simulate_merge(load, tmp_path)
    dispatched = load.lag_images + load.row_images
    formula = neurons * (depth * (1 + np.log(load.images / depth)) + dispatched)
    assert figures.bound <= formula * 1.001
    assert 0.5 * formula < figures.candidates <= 1.3 * formula
