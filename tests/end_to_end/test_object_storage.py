"""Images from a bucket and the index into it: the same index as from local files, and no secret anywhere in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import raysel
from raysel.files import Folder
from tests.end_to_end.conftest import Images, Indexed
from tests.end_to_end.runs import digests, run, zoo_run
from tests.object_store import SECRET, ObjectStore, object_store, uri_of

__all__ = ["object_store"]
pytestmark = pytest.mark.ray


def test_a_bucket_gives_the_same_index(
    indexed: Indexed, images: Images, object_store: ObjectStore, tmp_path: Path
) -> None:
    """Of a folder; tars are read from a bucket in `tests/chaos/test_object_store.py`."""
    object_store.upload(Path(images.folder), "end-to-end/folder")
    from_folder = zoo_run(tmp_path / "unused", uri_of("end-to-end/folder", object_store.endpoint), tmp_path / "log")
    outcome = run(replace(from_folder, out=uri_of("end-to-end/indexes/a", object_store.endpoint)))
    made, there = digests(outcome.manifest), digests(indexed.manifest)
    del made["shards.parquet"], there["shards.parquet"]  # sizes and etags are the store's own
    assert made == there

    index = raysel.open(uri_of("end-to-end/indexes/a", object_store.endpoint))
    assert index.neurons.equals(raysel.open(indexed.out).neurons)
    assert SECRET not in index.manifest.to_json().decode()
    folder = Folder.at(uri_of("end-to-end/indexes/a", object_store.endpoint))
    names = {file.name for file in folder.list()}
    assert not any(name.startswith("runs/") or name == "LOCK" for name in names)
    assert run(replace(from_folder, out=uri_of("end-to-end/indexes/a", object_store.endpoint))).computed is False
