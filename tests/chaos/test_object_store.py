"""The object store dies in mid-run and comes back: shards and index both lie in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysel.store import Folder, read_manifest
from tests.chaos.commands import started, typed
from tests.chaos.faults import count, set_fault
from tests.chaos.runs import Undisturbed, assert_whole, fragile_run, wait_until
from tests.chaos.test_layouts import PLACES
from tests.end_to_end.runs import digests
from tests.object_store import BUCKET, ObjectStore, object_store, s3  # noqa: F401 (fixtures)
from tests.pipeline.corpus import Sample, as_tars

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_the_store_is_killed_and_comes_back(
    undisturbed: Undisturbed,
    samples: dict[str, Sample],
    s3: ObjectStore,  # noqa: F811
    faults: Path,
    tmp_path: Path,
) -> None:
    """Once in scan and once in derive, while workers are in the middle of their work."""
    as_tars(samples, tmp_path / "tars", 3)
    images = s3.upload(tmp_path / "tars", "chaos/shards")
    config = fragile_run(f"s3://{BUCKET}/chaos/index", images, faults)
    in_scan = set_fault(faults, "forward", "hold", after=6)
    in_derive = set_fault(faults, "task-decode", "hold", after=30)
    said = tmp_path / "said"
    with started(typed(config, tmp_path / "run.toml"), said, **s3.environment()) as run:
        for event, hold in (("forward", in_scan), ("task-decode", in_derive)):
            wait_until(lambda: count(faults / "log")[f"held-in-{event}"] > 0, alive=lambda: run.poll() is None)  # noqa: B023
            s3.kill()
            with s3.restarting():
                hold.unlink()
        assert run.wait(280) == 0, said.read_text()
    manifest = read_manifest(Folder.at(config.out))
    assert_whole(config.out, manifest)
    mine, theirs = digests(manifest), digests(undisturbed.manifest)
    assert {each: mine[each] for each in mine.keys() - PLACES} == {each: theirs[each] for each in mine.keys() - PLACES}
    assert undisturbed.decoded(faults) == undisturbed.good, "each image once"
