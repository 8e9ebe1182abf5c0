"""The object store of shards and index dies in mid-run and comes back, or is overloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysel.files import Folder
from raysel.store import read_manifest
from tests.chaos.commands import started, typed
from tests.chaos.faults import count, set_fault
from tests.chaos.runs import Undisturbed, assert_whole, fragile_run, wait_until
from tests.chaos.test_layouts import PLACES
from tests.end_to_end.runs import digests, run
from tests.fault_proxy import fault_proxy
from tests.object_store import ObjectStore, uri_of
from tests.pipeline.corpus import Sample, as_tars

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_the_store_is_killed_and_comes_back(
    undisturbed: Undisturbed,
    samples: dict[str, Sample],
    s3: ObjectStore,
    faults: Path,
    tmp_path: Path,
) -> None:
    """Once in scan and once in derive, while workers are busy."""
    import ray

    as_tars(samples, tmp_path / "tars", 3)
    s3.upload(tmp_path / "tars", "chaos/shards")
    out, images = (uri_of(f"chaos/{name}", s3.endpoint) for name in ("index", "shards"))
    config = fragile_run(out, images, faults)
    in_scan = set_fault(faults, "forward", "hold", after=6)
    in_derive = set_fault(faults, "task-decode", "hold", after=30)
    said, address = tmp_path / "said", ray.get_runtime_context().gcs_address
    with started(typed(config, tmp_path / "run.toml", address), said) as command:
        for event, hold in (("forward", in_scan), ("task-decode", in_derive)):
            wait_until(lambda: count(faults / "log")[f"held-in-{event}"] > 0, alive=lambda: command.poll() is None)  # noqa: B023
            s3.kill()
            with s3.restarting():
                hold.unlink()
        assert command.wait(280) == 0, said.read_text()
    assert_same(config.out, undisturbed)
    assert undisturbed.decoded(faults) == undisturbed.good, "each image once"


def test_the_store_is_overloaded_resets_and_stalls(
    undisturbed: Undisturbed,
    samples: dict[str, Sample],
    s3: ObjectStore,
    faults: Path,
    tmp_path: Path,
) -> None:
    """In plan, scan, derive and publish, several times. A stalled request never ends by itself."""
    as_tars(samples, tmp_path / "tars", 3)
    s3.upload(tmp_path / "tars", "overloaded/shards")
    with fault_proxy(s3.endpoint) as proxy:
        injected = [
            proxy.inject("slow down", "GET", "overloaded/shards/", every=3, times=4),
            proxy.inject("reset", "GET", "overloaded/shards/", every=4, times=4),
            proxy.inject("stall", "GET", "overloaded/shards/", every=5, times=2),
            proxy.inject("slow down", "PUT", "overloaded/index/", every=4, times=4),
            proxy.inject("reset", "PUT", "overloaded/index/", every=5, times=3),
        ]
        there = "&read_timeout=1"
        images = uri_of("overloaded/shards", proxy.endpoint) + there
        run(fragile_run(uri_of("overloaded/index", proxy.endpoint) + there, images, faults))
    assert [fault.done for fault in injected] == [fault.times for fault in injected]
    assert_same(uri_of("overloaded/index", s3.endpoint), undisturbed)
    assert undisturbed.decoded(faults) == undisturbed.good, "each image once"


def assert_same(out: str, undisturbed: Undisturbed) -> None:
    """Everything but the locations of images equals the undisturbed run."""
    manifest = read_manifest(Folder.at(out))
    assert_whole(out, manifest)
    mine, theirs = digests(manifest), digests(undisturbed.manifest)
    assert {each: mine[each] for each in mine.keys() - PLACES} == {each: theirs[each] for each in mine.keys() - PLACES}
