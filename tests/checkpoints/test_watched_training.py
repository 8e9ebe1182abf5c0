"""A training run is watched for real: half an upload, a killed watcher, two at once, and a second look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import raysel
from raysel.checkpoints import indexing, watching
from raysel.files import join_uri
from raysel.pipeline.progress import Reporter
from raysel.pipeline.run import index
from tests.checkpoints.conftest import ALL, BATCHES, Bucket, Story, Trained, killed_in_a_scan, step_folder
from tests.checkpoints.training import STEPS
from tests.object_store import KEY, SECRET

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1500)]


def test_a_killed_watcher_is_continued_by_one_of_two(story: Story) -> None:
    """The first was killed in its first index. Then each whole checkpoint was indexed by one of two watchers."""
    assert 0 < story.killed_in < BATCHES
    assert set(story.after_two) == {f"{step_folder(step)}/manifest.json" for step in STEPS[:4]}
    assert story.forwards_of_two == 4 * BATCHES, "each was computed once"
    assert 1 in story.two, "who worked has seen the half checkpoint fail"
    assert set(story.two) <= {0, 1}


def test_half_a_checkpoint_fails_with_a_reason_and_rests(story: Story) -> None:
    half = story.records_after_two["checkpoint-64"]
    assert half["state"] == "failed"
    assert "cannot read the weights" in half["reason"]
    assert half["failures"] == 1
    assert half["retry_at"] > half["at"]


def test_when_it_is_whole_it_is_indexed_at_once(story: Story) -> None:
    states = [(each.name, each.state) for each in story.finished.attempts]
    assert states == [("checkpoint-64", "indexed"), ("checkpoint-160", "indexed"), ("last", "copy")]
    assert story.finished.failed == []
    manifests = story.bucket.manifests()
    assert set(manifests) == {f"{name}/manifest.json" for name in ALL}
    for name, seen in story.after_two.items():
        assert manifests[name] == seen, "an index is published once"


def test_a_second_look_does_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("there is nothing to do")

    before, forwards = story.bucket.objects(), story.bucket.forwards()
    for name in ("index", "read_content", "scan_together"):
        monkeypatch.setattr(indexing, name, refuse)
    monkeypatch.setattr(watching.Connection, "begin", refuse)
    monkeypatch.setattr(watching, "locked", refuse)
    done = story.bucket.look(story.config)
    assert (done.checkpoints, done.attempts, done.failed, done.growing) == (len(STEPS) + 1, [], [], [])
    assert story.bucket.objects() == before
    assert story.bucket.forwards() == forwards


def test_each_index_is_the_one_made_alone(story: Story, trained: Trained, tmp_path: Path) -> None:
    file = trained.folder / "checkpoints" / "checkpoint-20.pth.tar"
    config = trained.config()
    index(replace(config, out=str(tmp_path), network=replace(config.network, weights=str(file))), Reporter())
    alone, watched = raysel.open(tmp_path), raysel.open(join_uri(story.bucket.indexes, step_folder(20)))
    assert watched.neurons.equals(alone.neurons)
    assert watched.rankings().equals(alone.rankings())


def test_a_watcher_that_is_killed_in_a_joint_scan(story: Story, trained: Trained, tmp_path: Path) -> None:
    """The next one makes the same indexes."""
    bucket = Bucket(story.bucket.store, tmp_path / "forwards.log")
    config = trained.config(bucket.log)
    bucket.write_config(tmp_path / "run.toml", config)
    for path in trained.checkpoints[:2]:
        bucket.upload(path)
    killed = killed_in_a_scan(bucket, tmp_path / "run.toml", tmp_path / "said", "--together", "2")
    assert bucket.manifests() == {}
    done = bucket.look(config, together=2)
    assert [each.state for each in done.attempts] == ["indexed", "indexed"]
    assert len([process for process in bucket.forwards() if process not in killed]) == 2 * BATCHES
    for step in STEPS[:2]:
        joint, alone = (raysel.open(join_uri(each.indexes, step_folder(step))) for each in (bucket, story.bucket))
        assert joint.neurons.equals(alone.neurons)
        assert joint.rankings().equals(alone.rankings())


def test_no_record_has_a_secret(story: Story) -> None:
    for record in story.bucket.records().values():
        assert record["checkpoint"].startswith("s3://raysel/")
        assert SECRET not in str(record)
        assert f"{KEY}:" not in str(record)
