"""Interventions from the options to the index: on any number of actors, in a run or afterwards, and resumed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from raysel.errors import RayselError
from raysel.files import Folder
from raysel.interventions import COLUMNS, INTERVENTIONS
from raysel.marks import with_changes
from raysel.neurons import keys
from raysel.pipeline.derive.again import derive_again
from raysel.pipeline.interventions.jobs import Entries, jobs_of
from raysel.pipeline.interventions.rerun import with_interventions
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import state_of
from raysel.pipeline.record import recorded_config, recorded_network
from raysel.query import Question, find
from raysel.store import open_index, put_snapshot
from tests.end_to_end.conftest import Indexed
from tests.end_to_end.runs import digests, run

pytestmark = pytest.mark.ray
ALL = "gray,shape,orientation,symmetry"


def test_the_result_does_not_depend_on_the_actors(indexed: Indexed, tmp_path: Path, monkeypatch: Any) -> None:
    """There is room for two of three."""
    monkeypatch.setattr("raysel.pipeline.interventions.jobs.JOB_RUNS", 100)  # so that both have some jobs
    changes: dict[str, Any] = {"derive": {"interventions": ALL, "n_max": 4}}
    afterwards = derive_again(
        str(indexed.out), {"out": str(tmp_path / "afterwards"), **changes, "scan": {"workers": 3}}, Reporter()
    )
    at_once = run(with_changes(indexed.config, {"out": str(tmp_path / "at once"), **changes, "scan": {"workers": 1}}))
    assert digests(afterwards.manifest) == digests(at_once.manifest)
    assert afterwards.manifest.index_fingerprint == at_once.manifest.index_fingerprint
    assert "interventions" in afterwards.manifest.stages
    index = open_index(tmp_path / "afterwards")
    rows = index.neurons.to_pylist()
    assert all(row[column.name] is None for row in rows if row["dead"] for column in COLUMNS)
    good = [row for row in rows if row["layer"] == "first" and not row["dead"]]
    assert good
    for row in good:
        assert len(row["orientation_curve"]) == 23
        assert row["symmetry_index"] == pytest.approx(1 - np.mean(row["symmetry_curve"]))
        assert row["gray_index"] <= 1
    assert len({row["shape_index"] for row in good}) > 1
    found = find(index, Question(where="gray_index >= 0.01")).table["gray_index"].to_pylist()
    assert found == sorted((row["gray_index"] for row in rows if (row["gray_index"] or 0) >= 0.01), reverse=True)
    assert not list((tmp_path / "afterwards").glob("runs/**/*.npz"))
    plain = open_index(indexed.out).neurons
    assert all(plain[column.name].null_count == len(plain) for column in COLUMNS)


def test_an_unknown_intervention_is_one_line(indexed: Indexed, tmp_path: Path) -> None:
    changes = {"out": str(tmp_path / "index"), "derive": {"interventions": "grays"}}
    for start in (lambda: derive_again(str(indexed.out), changes, Reporter()), lambda: run_with(indexed, changes)):
        with pytest.raises(RayselError, match="unknown intervention 'grays'"):
            start()


def run_with(indexed: Indexed, changes: dict[str, Any]) -> Any:
    return run(with_changes(indexed.config, changes))


def test_what_a_killed_run_has_done_is_not_done_again(
    indexed: Indexed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results of all jobs are there: no actor is started, and the columns are those of the results.

    The activations of all rankings are decoded a few times, not for every neuron.
    """
    index = open_index(indexed.out)
    taps, depth = recorded_network(index.manifest).taps, indexed.config.scan.rank_depth
    state = state_of(index, taps, depth)
    config = with_changes(
        recorded_config(index.manifest), {"derive": {"interventions": "gray", "intervention_images": 3}}
    )
    n = state.rankings().taking_part(3, config.derive.min_relative_activation)
    entries, folder = Entries.of(taps, state.rankings(), n), Folder.at(tmp_path)
    assert entries.box.min() >= 0
    for job in jobs_of(entries, [INTERVENTIONS["gray"]]):
        half = state.rankings().activations[entries.neuron[job.rows], 0] / 2
        put_snapshot(folder, f"runs/known/interventions/{job.name}", {"responses": half[:, None]})

    def no_cluster() -> None:
        raise AssertionError("the run computes again")

    resumed: Any = SimpleNamespace(
        config=config,
        folder=folder,
        reporter=Reporter(),
        fingerprints=SimpleNamespace(index="known"),
        cluster=no_cluster,
    )
    decode, decoded = keys.activations_of, []

    def counted(rankings: Any) -> Any:
        decoded.append(len(rankings))
        return decode(rankings)

    monkeypatch.setattr(keys, "activations_of", counted)
    neurons = with_interventions(resumed, state, taps, index.neurons)
    assert sum(decoded) <= 5 * len(neurons)
    for row, count in zip(neurons.to_pylist(), n.tolist(), strict=True):
        if count and np.isfinite(row["a_max"]):
            ranking = (
                index.neuron(row["layer"], row["channel"]).ranking["activation"].to_numpy()[:count].astype(np.float64)
            )
            assert row["gray_index"] == pytest.approx(1 - count * row["a_max"] / 2 / ranking.sum(), rel=1e-5)
