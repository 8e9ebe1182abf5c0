"""The files of a finished run, a second run in the same folder, and what `verify` finds."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raysel.pipeline.run as run_module
from raysel.config import DeriveConfig, RunConfig
from raysel.errors import RayselError
from raysel.pipeline.verify import Sample, verify
from raysel.store import PLAN_NAME
from tests.end_to_end.conftest import Indexed
from tests.end_to_end.runs import digests, run, table

pytestmark = pytest.mark.ray

ALL = Sample(neurons=64, top=4, seed=0)
OTHER = DeriveConfig(n_max=10)


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that asks for Ray fails."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("this run asked for Ray")

    monkeypatch.setattr(run_module.Connection, "__call__", refuse)


@pytest.fixture
def copy(indexed: Indexed, tmp_path: Path) -> RunConfig:
    """The same index in a folder of its own."""
    shutil.copytree(indexed.out, tmp_path / "index")
    return replace(indexed.config, out=str(tmp_path / "index"))


def test_the_manifest_names_every_file(indexed: Indexed) -> None:
    data = indexed.out / indexed.manifest.data
    on_disk = {path.relative_to(indexed.out).as_posix(): path for path in data.rglob("*") if path.is_file()}
    named = {entry.name: entry for entry in indexed.manifest.files}
    assert on_disk.keys() == named.keys()
    for name, path in on_disk.items():
        content = path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (named[name].size, named[name].sha256)
    assert {"neurons.parquet", "rankings.parquet", "images.parquet", "quarantine.parquet"} <= digests(
        indexed.manifest
    ).keys()
    assert {path.name for path in indexed.out.iterdir()} == {"manifest.json", "data", PLAN_NAME}, "nothing else is left"
    written = json.loads((indexed.out / "manifest.json").read_text())
    assert written["coverage"] == 1
    assert {"plan", "scan", "derive"} <= written["stages"].keys()


def test_a_second_run_computes_nothing(indexed: Indexed, without_ray: None) -> None:
    before = state_of(indexed.out)
    events = indexed.log.read_text().count("forward") + indexed.log.read_text().count("worker")
    outcome = run(indexed.config)
    assert not outcome.computed
    assert outcome.manifest.to_json() == indexed.manifest.to_json()
    assert state_of(indexed.out) == before
    assert indexed.log.read_text().count("forward") + indexed.log.read_text().count("worker") == events


def test_options_that_change_no_result_compute_nothing(indexed: Indexed, without_ray: None) -> None:
    """Workers, the size of calls and slices, their order, and the disk for decoded images."""
    scan = replace(indexed.config.scan, workers=1, call_images=64, slice_images=100, seed=5)
    derive = replace(indexed.config.derive, cache_gb=1.0)
    assert not run(replace(indexed.config, scan=scan, derive=derive)).computed


@pytest.mark.parametrize(
    ("stage", "setting", "value", "expected"),
    [
        ("derive", "n_max", 10, r"n_max 20, now 10"),
        ("derive", "color_space", "orthonormal", r"color_space authors, now orthonormal"),
        ("scan", "rank_depth", 50, r"rank_depth 40, now 50"),
        ("scan", "batch_size", 4, r"batch_size 8, now 4"),
        ("network", "layers", ("first",), r"layers"),
    ],
)
def test_other_settings_are_named_and_change_nothing(
    stage: str, setting: str, value: Any, expected: str, indexed: Indexed, without_ray: None
) -> None:
    before = state_of(indexed.out)
    other = replace(indexed.config, **{stage: replace(getattr(indexed.config, stage), **{setting: value})})
    with pytest.raises(RayselError, match=expected) as error:
        run(other)
    assert "--replace" in str(error.value)
    assert "\n" not in str(error.value)
    assert state_of(indexed.out) == before


def test_more_in_the_feature_than_in_the_ranking(indexed: Indexed, without_ray: None) -> None:
    with pytest.raises(RayselError, match=r"--n-max 41 .* --rank-depth 40"):
        run(replace(indexed.config, derive=DeriveConfig(n_max=41)))


def test_replaced(copy: RunConfig, indexed: Indexed) -> None:
    """The new index is published and verified; the old one's files are kept for its readers, and others' progress."""
    progress = Path(copy.out) / "runs" / "another" / "state.npz"
    progress.parent.mkdir(parents=True)
    progress.write_bytes(b"of another configuration")
    outcome = run(replace(copy, derive=OTHER, replace=True))
    assert [path for path in (Path(copy.out) / "runs").rglob("*") if path.is_file()] == [progress]
    assert outcome.computed
    assert outcome.manifest.index_fingerprint != indexed.manifest.index_fingerprint
    assert outcome.manifest.scan_fingerprint == indexed.manifest.scan_fingerprint
    assert list(outcome.manifest.superseded) == [indexed.manifest.index_fingerprint]
    assert (Path(copy.out) / indexed.manifest.data / "neurons.parquet").exists()
    new, old = digests(outcome.manifest), digests(indexed.manifest)
    assert new["rankings.parquet"] == old["rankings.parquet"]
    assert new["neurons.parquet"] != old["neurons.parquet"]
    assert max(table(copy.out, outcome.manifest, "neurons.parquet")["n"].to_pylist()) == 10
    assert not verify(copy.out, ALL).problems


def test_an_index_of_an_older_format_is_refused_or_replaced(copy: RunConfig, indexed: Indexed) -> None:
    """Format 1 called `skipped` `passed_over`."""
    written = Path(copy.out) / "manifest.json"
    old = json.loads(written.read_text())
    old["format_version"] = 1
    old["counts"]["passed_over"] = old["counts"].pop("skipped")
    written.write_text(json.dumps(old))
    for started in (run, lambda config: verify(config.out, ALL)):
        with pytest.raises(RayselError, match=r"has format 1.* --replace") as error:
            started(copy)
        assert "\n" not in str(error.value)
    outcome = run(replace(copy, replace=True))
    assert outcome.computed
    assert digests(outcome.manifest) == digests(indexed.manifest)


def test_verify_finds_nothing_wrong(indexed: Indexed) -> None:
    checked = verify(str(indexed.out), ALL)
    assert checked.problems == []
    assert checked.files == len(indexed.manifest.files)
    ranks = table(indexed.out, indexed.manifest, "rankings.parquet")["rank"].to_pylist()
    assert checked.runs == sum(rank < ALL.top for rank in ranks)


@pytest.mark.parametrize("name", ["rankings.parquet", "features/second.parquet", "images.parquet"])
def test_verify_finds_a_flipped_bit(name: str, copy: RunConfig, indexed: Indexed) -> None:
    path = Path(copy.out) / indexed.manifest.data / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (problem,) = verify(copy.out, ALL).problems
    assert problem.startswith(f"{indexed.manifest.data}/{name}: altered")


@pytest.mark.parametrize(
    ("column", "wrong", "expected"),
    [("activation", lambda value: value * 1.001, "activation"), ("row", lambda value: value + 1, "position")],
)
def test_verify_finds_a_wrong_entry(column: str, wrong: Any, expected: str, copy: RunConfig, indexed: Indexed) -> None:
    """One entry is changed, and the manifest has the changed file's checksum."""
    name = f"{indexed.manifest.data}/rankings.parquet"
    rankings = table(copy.out, indexed.manifest, "rankings.parquet")
    layers, channels, ranks = (np.asarray(rankings[each].to_pylist()) for each in ("layer", "channel", "rank"))
    (entry,) = np.flatnonzero((layers == "second") & (channels == 4) & (ranks == 2))
    values = rankings[column].to_pylist()
    values[entry] = wrong(values[entry])
    place = rankings.schema.get_field_index(column)
    field = rankings.schema.field(column)
    pq.write_table(rankings.set_column(place, field, pa.array(values, field.type)), Path(copy.out) / name)
    manifest = json.loads((Path(copy.out) / "manifest.json").read_text())
    content = (Path(copy.out) / name).read_bytes()
    for file in manifest["files"]:
        if file["name"] == name:
            file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (Path(copy.out) / "manifest.json").write_text(json.dumps(manifest))
    (problem,) = verify(copy.out, ALL).problems
    assert problem.startswith("second:4, rank 2")
    assert expected in problem


def state_of(out: Path) -> dict[str, tuple[int, int]]:
    """Every file of an index with its size and time of change."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in out.rglob("*") if path.is_file()}
