"""The same images and network give the same index, to the bit, however they are laid out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.conftest import Images, Indexed
from tests.end_to_end.runs import BATCH, digests, notes, run, table, zoo_run
from tests.pipeline.corpus import as_tars, corpus

pytestmark = pytest.mark.ray

DECODE, FORWARD = "decode", f"forward-{BATCH}"


def test_one_worker_and_single_images_a_call(indexed: Indexed, images: Images, tmp_path: Path) -> None:
    """There are 130 calls, enough for a tree level between actors and driver."""
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log", workers=1, call_images=1, slice_images=50)
    manifest = run(config).manifest
    assert manifest.index_fingerprint == indexed.manifest.index_fingerprint
    assert digests(manifest) == digests(indexed.manifest)
    actors = {actor for event, _, actor, _, _ in notes(tmp_path / "log") if event == FORWARD}
    assert len(actors) == 1


def test_cpu_actors_decode_for_themselves(indexed: Indexed, images: Images) -> None:
    events = indexed.events
    forwards = [each for each in events if each[0] == FORWARD]
    actors = {actor for _, _, actor, _, _ in forwards}
    assert len(actors) == 2
    assert {gpus for *_, gpus, _ in forwards} == {0}
    of_actors = [each for each in events if each[0] == DECODE and each[2] in actors]
    assert len(of_actors) >= len(images.samples) - len(images.bad)
    assert not any(event == FORWARD and kind == "driver" for event, *_, kind in events)


def test_gpu_actors_are_fed_by_decoding_tasks(indexed: Indexed, images: Images, tmp_path: Path) -> None:
    """The GPU has no hardware behind it. Decoding runs in tasks without it, the forward in the actor that holds it."""
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log", workers=None, gpus=1, device="cpu")
    manifest = run(config).manifest
    assert manifest.index_fingerprint == indexed.manifest.index_fingerprint
    assert digests(manifest) == digests(indexed.manifest)
    events = notes(tmp_path / "log")
    forwards = [each for each in events if each[0] == FORWARD]
    assert len({actor for _, _, actor, _, _ in forwards} - {"-"}) == 1
    assert {gpus for *_, gpus, _ in forwards} == {1}
    decoded = [each for each in events if each[0] == DECODE and each[-1] == "worker"]
    assert len(decoded) >= len(images.samples) - len(images.bad)
    assert {(actor, gpus) for _, _, actor, gpus, _ in decoded} == {("-", 0.0)}
    assert not {pid for _, pid, *_ in decoded} & {pid for _, pid, *_ in forwards}


def test_a_tar_gives_the_index_of_the_folder(indexed: Indexed, images: Images, tmp_path: Path) -> None:
    """See also `tests/chaos/test_layouts.py`: many tars in another order."""
    out = tmp_path / "index"
    manifest = run(zoo_run(out, images.one_tar, tmp_path / "log", workers=1)).manifest
    places = {"images.parquet", "shards.parquet", "quarantine.parquet"}  # where the images are
    mine, theirs = digests(manifest), digests(indexed.manifest)
    assert mine.keys() == theirs.keys()
    assert {name: mine[name] for name in mine.keys() - places} == {
        name: theirs[name] for name in theirs.keys() - places
    }
    rows, folder_rows = (
        table(where, of, "images.parquet").select(["image", "key", "label", "length"]).to_pylist()
        for where, of in ((out, manifest), (indexed.out, indexed.manifest))
    )
    assert rows == [{**row, "key": row["key"].removesuffix(".png")} for row in folder_rows]
    bad = table(out, manifest, "quarantine.parquet")
    assert bad["key"].to_pylist() == images.bad


@pytest.mark.parametrize("gpus", [0, 1])
def test_no_forward_is_padded_but_the_last_of_a_shard(local_ray: None, tmp_path: Path, gpus: int) -> None:
    """Every image is decoded once and runs once, although neither calls nor Ray's blocks are a multiple of a slice."""
    shards, images = 2, as_tars(corpus(100, unlabelled=0), tmp_path / "tars", 2)
    layout = {"workers": None, "gpus": 1, "device": "cpu"} if gpus else {"workers": 1}
    scan = {"slice_images": 100, "call_images": 128, "batch_size": BATCH, **layout}
    manifest = run(zoo_run(tmp_path / "index", images, tmp_path / "log", **scan)).manifest
    assert manifest.counts.images == 300
    events = [each for each in notes(tmp_path / "log") if each[-1] == "worker"]
    actors = {actor for event, _, actor, _, _ in events if event == FORWARD}
    assert len(actors) == 1
    assert sum(event == FORWARD for event, *_ in events) <= 300 // BATCH + shards
    scanned = [each for each in events if each[0] == DECODE and (gpus or each[2] in actors)]
    assert len(scanned) >= 300
    if not gpus:  # tasks of derive decode, too
        assert len(scanned) == 300
