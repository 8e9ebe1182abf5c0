"""What the marks on the options promise: which fingerprint changes with an option, and which paths become absolute."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from raysel.config import DeriveConfig, NetworkConfig, Preprocessing, RunConfig, ScanConfig, SourceConfig
from raysel.images import DECODER
from raysel.marks import PATH, Enters, marked, options
from raysel.pipeline.fingerprint import SCAN_VERSION, Fingerprints
from raysel.pipeline.record import as_recorded, differences
from raysel.selectivity import Concepts
from tests.options import OPTIONS, STAGES, another_value, with_option

NETWORK: Any = SimpleNamespace(weights_digest="weights", graph_digest="graph", taps=(), preprocessing=Preprocessing())
IMAGES: Any = SimpleNamespace(digest="images", images=pa.table({"label": ["a", None, "b"]}))
CLASSES = pa.table({"label": ["a", "b"]})
CONCEPTS = Concepts([{"a": 0, "c": 1}, {}], {"a": 1, "c": 0}, {"a": "a", "c": "c"}, None)


def fingerprints(config: RunConfig) -> Fingerprints:
    return Fingerprints.of(config, NETWORK, IMAGES, CLASSES, CONCEPTS)


def test_every_option_says_which_fingerprint_it_enters():
    for stage, name in OPTIONS:
        marks = [mark for mark in options(STAGES[stage])[name].marks if isinstance(mark, Enters)]
        assert len(marks) == 1, f"{stage}.{name}"


def test_names_are_unique_across_stages():
    """On the command line they have no stage."""
    names = [name for _, name in OPTIONS] + list(options(RunConfig))
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("stage", "name"), OPTIONS)
def test_a_fingerprint_changes_as_the_mark_says(stage, name):
    before, after = fingerprints(RunConfig()), fingerprints(with_option(stage, name, another_value(stage, name)))
    marks = options(STAGES[stage])[name].marks
    changes_scan = Enters.SCAN in marks or name in ("gpus", "batch_size")  # what else is indirect is in the network
    changes_index = changes_scan or Enters.INDEX in marks
    assert (before.scan != after.scan, before.index != after.index) == (changes_scan, changes_index)


@pytest.mark.parametrize(
    "change",
    [
        {"above": [{"a": 0, "c": 2}, {}]},
        {"depths": {"a": 2, "c": 0}},
        {"names": {"a": "A", "c": "c"}},
        {"cut": frozenset("c")},
    ],
)
def test_the_index_fingerprint_changes_with_the_hierarchy_above_the_labels(change):
    before = fingerprints(RunConfig())
    after = Fingerprints.of(RunConfig(), NETWORK, IMAGES, CLASSES, replace(CONCEPTS, **change))
    assert before.scan == after.scan
    assert before.index != after.index


def test_the_scan_fingerprint_is_the_digest_of_these_parts():
    parts = {
        "version": SCAN_VERSION,
        "weights": "weights",
        "graph": "graph",
        "taps": [],
        "preprocessing": {
            "resize": 256,
            "crop": [224, 224],
            "interpolation": "bilinear",
            "scale": 1 / 255,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "channel_order": "RGB",
            "average_image": None,
        },
        "decoder": DECODER,
        "dtype": "float32",
        "batch": 5,
        "images": "images",
        "rank_depth": 7,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    made = fingerprints(replace(RunConfig(), scan=ScanConfig(batch_size=5, rank_depth=7)))
    assert made.scan == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_local_files_are_recorded_by_absolute_paths(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    run = RunConfig()
    given = {
        stage: dict.fromkeys(marked(getattr(run, stage), PATH), "file") for stage in ("source", "network", "derive")
    }
    assert {name for names in given.values() for name in names} == {
        *("images", "labels", "label_map", "classes"),
        *("network", "weights", "hierarchy"),
    }
    given["network"]["preprocessing"] = Preprocessing(average_image="file")
    config = replace(
        run,
        source=replace(run.source, **given["source"]),
        network=replace(run.network, **given["network"]),
        derive=replace(run.derive, **given["derive"]),
    )
    recorded = as_recorded(config)
    for stage in ("source", "network", "derive"):
        for name in marked(getattr(run, stage), PATH):
            assert recorded[stage][name] == str(tmp_path / "file"), name
    assert recorded["network"]["preprocessing"]["average_image"] == str(tmp_path / "file")
    elsewhere = as_recorded(replace(run, network=replace(run.network, weights="s3://key:secret@bucket/w.pth")))
    assert elsewhere["network"]["weights"] == "s3://bucket/w.pth"


@pytest.mark.parametrize(("stage", "name"), [each for each in OPTIONS if each[0] != "cluster"])
def test_differences_name_the_options_that_matter(stage, name):
    there: Any = SimpleNamespace(config=json.loads(json.dumps(as_recorded(RunConfig()))))
    said = differences(there, with_option(stage, name, another_value(stage, name)))
    assert said.startswith(f"{name} ") is (Enters.NONE not in options(STAGES[stage])[name].marks)
    assert said.count(";") == 0


def test_differences_show_no_secret_and_no_equal_settings():
    network = NetworkConfig(preprocessing=Preprocessing(), weights="s3://bucket/a.pth")
    recorded = as_recorded(RunConfig(network=network))
    there: Any = SimpleNamespace(config=json.loads(json.dumps(recorded)))
    other = replace(network, weights="s3://key:secret@bucket/b.pth?token=secret")
    assert differences(there, RunConfig(network=network)) == ""
    assert differences(there, RunConfig(network=other)) == "weights s3://bucket/a.pth, now s3://bucket/b.pth"


@pytest.mark.parametrize("images", ["shards/*.tar", "s3://bucket/shards/", "there"])
def test_images_that_are_the_same_are_no_difference(images, tmp_path, monkeypatch):
    (tmp_path / "shards").mkdir()
    monkeypatch.chdir(tmp_path)
    config = RunConfig(source=SourceConfig(images=images))
    there: Any = SimpleNamespace(config=as_recorded(config))
    monkeypatch.chdir(tmp_path / "shards")
    elsewhere = images if "://" in images else f"../{images}"
    again = replace(config, source=replace(config.source, images=elsewhere), derive=DeriveConfig(n_max=50))
    assert differences(there, again) == "n_max 100, now 50"


def test_the_index_fingerprint_changes_with_the_packages_that_add_indexes(monkeypatch):
    made = []
    for versions in ({}, {"raysel-brightness": "1.0"}, {"raysel-brightness": "1.1"}):
        monkeypatch.setattr("raysel.pipeline.fingerprint.plugin_versions", lambda versions=versions: versions)
        made.append(fingerprints(RunConfig()))
    assert len({each.index for each in made}) == 3
    assert len({each.scan for each in made}) == 1
