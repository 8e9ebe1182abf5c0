"""``raysel derive``: the same index as a run with these options gives, without a scan and without the network."""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raysel.errors import RayselError
from raysel.marks import with_changes
from raysel.pipeline.derive.again import derive_again
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import Outcome
from raysel.pipeline.record import recorded_config
from raysel.store import open_index
from tests.end_to_end.conftest import Indexed
from tests.end_to_end.runs import digests, notes, run
from tests.networks import zoo

pytestmark = pytest.mark.ray


def again(index: str | Path, changes: dict[str, Any], **more: Any) -> Outcome:
    """Derive again on the tests' Ray."""
    return derive_again(str(index), changes, Reporter(), **more)


@pytest.fixture(scope="module")
def labels(indexed: Indexed, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table with a label for every image."""
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["key", "digit"])
        rows.writerows((key, key.split(".")[0][-1]) for key in open_index(indexed.out).images["key"].to_pylist())
    return str(path)


def test_options_that_are_gone(indexed: Indexed) -> None:
    """Those that changed no result are passed over. An index with others cannot be derived again."""
    config = indexed.manifest.config
    for option, fault in (("wait_for_min_actors_s", None), ("no_such_option", "index again with this raysel")):
        recorded = {"config": {**config, "scan": {**config["scan"], option: 7}}}
        manifest = indexed.manifest.model_copy(update=recorded)
        with pytest.raises(RayselError, match=fault) if fault else nullcontext():
            assert recorded_config(manifest) == recorded_config(indexed.manifest)


def test_it_is_what_a_run_gives(indexed: Indexed, labels: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "derive": {"n_max": 11, "class_threshold": 0.8, "color_space": "orthonormal"},
        "source": {"labels": labels, "label_column": "digit"},
    }
    before = len(notes(indexed.log))
    derived = again(indexed.out, {"out": str(tmp_path / "derived"), **changes})
    events = [event for event, *_ in notes(indexed.log)[before:]]
    fresh = run(with_changes(indexed.config, {"out": str(tmp_path / "fresh"), **changes}))
    assert (derived.computed, fresh.computed) == (True, True)
    assert not [event for event in events if event.startswith("forward")]
    assert "scan" not in derived.manifest.stages
    assert (derived.manifest.scan_fingerprint, derived.manifest.index_fingerprint) == (
        fresh.manifest.scan_fingerprint,
        fresh.manifest.index_fingerprint,
    )
    assert digests(derived.manifest) == digests(fresh.manifest)
    assert derived.manifest.index_fingerprint != indexed.manifest.index_fingerprint
    for part in ("source", "network", "counts", "coverage", "config"):
        assert getattr(derived.manifest, part) == getattr(fresh.manifest, part)
    assert not again(indexed.out, {"out": str(tmp_path / "derived"), **changes}).computed
    back = again(tmp_path / "derived", {"out": str(tmp_path / "derived"), "replace": True, "derive": {"n_max": 20}})
    assert back.computed
    assert back.manifest.config["derive"]["class_threshold"] == 0.8  # what is not given stays as it was


def test_in_place(indexed: Indexed, tmp_path: Path) -> None:
    shutil.copytree(indexed.out, tmp_path / "index")
    with pytest.raises(RayselError, match=r"n_max 20, now 5.*--replace"):
        again(tmp_path / "index", {"replace": False, "derive": {"n_max": 5}})
    assert not again(tmp_path / "index", {}).computed
    assert again(tmp_path / "index", {"derive": {"n_max": 5}}).computed
    assert max(open_index(tmp_path / "index").neurons["n"].to_pylist()) == 5


def test_images_that_were_moved(indexed: Indexed, images: Any, tmp_path: Path) -> None:
    shutil.copytree(indexed.out, tmp_path / "index")
    manifest = tmp_path / "index" / "manifest.json"
    record = json.loads(manifest.read_text())
    record["config"]["source"]["images"] = str(tmp_path / "gone")
    manifest.write_text(json.dumps(record))
    changes = {"out": str(tmp_path / "derived"), "derive": {"n_max": 6}}
    with pytest.raises(RayselError, match="gone"):
        again(tmp_path / "index", changes)
    moved = again(tmp_path / "index", changes, images=images.folder)
    there = again(indexed.out, {**changes, "out": str(tmp_path / "there")})
    assert digests(moved.manifest) == digests(there.manifest)
    assert moved.manifest.config["source"]["images"] == str(tmp_path / "gone")


def test_what_cannot_be_derived(indexed: Indexed, tmp_path: Path) -> None:
    out = str(tmp_path / "derived")
    with pytest.raises(RayselError, match="--n-max 41 is more than the 40 images"):
        again(indexed.out, {"out": out, "derive": {"n_max": 41}})
    with pytest.raises(RayselError, match="--labels"):
        again(indexed.out, {"out": out, "source": {"label_column": "digit"}})
    with pytest.raises(RayselError, match="no index in"):
        again(tmp_path / "nothing", {"out": out})
    assert not (tmp_path / "derived").exists()


def test_effective_fields_load_the_network_once(indexed: Indexed, tmp_path: Path) -> None:
    """They are new in the first index, and come from its manifest in the second."""
    first = {"out": str(tmp_path / "first"), "derive": {"receptive_field": "effective", "n_max": 4}}
    fresh = run(with_changes(indexed.config, {**first, "out": str(tmp_path / "fresh")}))
    derived = again(indexed.out, first)
    assert digests(derived.manifest) == digests(fresh.manifest)
    events = notes(indexed.log)
    second = again(tmp_path / "first", {"out": str(tmp_path / "second"), "derive": {"n_max": 3}})
    assert not [event for event, *_ in notes(indexed.log)[len(events) :] if event.startswith("forward")]
    assert second.manifest.network.taps == fresh.manifest.network.taps


def finer_zoo(**options: Any) -> Any:
    """The zoo with its weights, but read at other places."""
    network, preprocessing = zoo(**options)
    network.first.stride = (1, 1)
    return network, preprocessing


def brighter_zoo(**_options: Any) -> Any:
    """The zoo with its weights, but with another mean subtracted."""
    network, preprocessing = zoo()
    return network, replace(preprocessing, mean=(0.0, 0.0, 0.0))


@pytest.mark.parametrize("option", [{"interventions": "gray"}, {"receptive_field": "effective"}])
@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ("finer_zoo", "the layers of .*finer_zoo differ from those that were indexed: restore them"),
        ("brighter_zoo", "brighter_zoo has the weights that were indexed, but its code, its preprocessing"),
    ],
)
def test_a_network_whose_code_has_changed_is_refused(
    indexed: Indexed, tmp_path: Path, option: dict[str, str], other: str, fault: str
) -> None:
    shutil.copytree(indexed.out, tmp_path / "index")
    manifest = tmp_path / "index" / "manifest.json"
    record = json.loads(manifest.read_text())
    record["config"]["network"]["network"] = f"{__name__}:{other}"
    manifest.write_text(json.dumps(record))
    with pytest.raises(RayselError, match=fault):
        again(tmp_path / "index", {"out": str(tmp_path / "derived"), "derive": option})
    assert not (tmp_path / "derived" / "manifest.json").exists()
