"""Subsets by the hash of the key: stable, nested, independent of the shards."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from raysel.errors import RayselError
from raysel.images import ImagesList, open_source, select_shards, subset
from raysel.images.sources.source import Shard, Walked, walked_faults, walked_images
from tests.images.samples import write_files

KEYS = [f"{'abcdefgh'[number % 8]}/{number:05d}.jpg" for number in range(4_000)]


def images_list(shards: int) -> ImagesList:
    class Place:
        uri, kind = "/somewhere", "tar"

    parts = []
    for shard in range(shards):
        keys = KEYS[shard::shards]
        images = walked_images(keys, [key[0] for key in keys], list(range(len(keys))), [1] * len(keys))
        faults = walked_faults([(f"bad-{number}", "broken") for number in range(shard, 200, shards)])
        parts.append(Walked(Shard(f"{shard}.tar", 1, "e"), images, 0, faults))
    return ImagesList.build(Place(), parts)  # type: ignore[arg-type]


def keys(images: ImagesList) -> list[str]:
    return images.images["key"].to_pylist()


def by_hash(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())


def test_limit_takes_the_smallest_hashes() -> None:
    images = subset(images_list(3), limit=100)
    assert keys(images) == sorted(by_hash(KEYS)[:100])
    assert images.images["id"].to_pylist() == list(range(100))
    assert len(images.classes) == 8  # not the first classes only


def test_sample_is_about_that_share_and_nested() -> None:
    whole = images_list(3)
    small, large = subset(whole, sample=0.1), subset(whole, sample=0.3)
    assert abs(len(keys(small)) - 400) < 4 * np.sqrt(400)
    assert abs(len(keys(large)) - 1_200) < 4 * np.sqrt(1_200)
    assert set(keys(small)) < set(keys(large))
    assert keys(small) == sorted(by_hash(KEYS)[: len(keys(small))])


def test_shards_do_not_matter() -> None:
    for options in ({"limit": 77}, {"sample": 0.05}, {"sample": 0.5, "limit": 77}):
        one, other = (subset(images_list(shards), **options) for shards in (1, 5))
        assert one.images.select(["id", "key", "label"]).equals(other.images.select(["id", "key", "label"]))
        assert one.faults["key"].equals(other.faults["key"])


def test_rows_keep_shard_and_offset() -> None:
    whole = images_list(3)
    rows = {row["key"]: row for row in whole.images.to_pylist()}
    for row in subset(whole, limit=50).images.to_pylist():
        assert {**row, "id": rows[row["key"]]["id"]} == rows[row["key"]]
    assert subset(whole, limit=50).images.schema.equals(whole.images.schema)


def test_subsets_have_different_digests() -> None:
    whole = images_list(3)
    digests = {replace(subset(whole, limit=limit)).digest for limit in (10, 11, 4_000, 5_000)}
    assert len(digests) == 3
    assert subset(whole, limit=4_000).digest == whole.digest == subset(whole, sample=1.0).digest == subset(whole).digest


def test_faults_are_chosen_like_images() -> None:
    assert 5 < subset(images_list(3), sample=0.1).faults.num_rows < 40
    assert subset(images_list(3), sample=1.0).faults.num_rows == 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": 0}, "a limit of 0 images"),
        ({"sample": 0.0}, "a sample of 0: give a share"),
        ({"sample": 1.5}, "a sample of 1.5: give a share"),
        ({"sample": 1e-9}, "a sample of 1e-09 of 4,000 images contains none"),
    ],
)
def test_refusals(options: dict[str, float], said: str) -> None:
    with pytest.raises(RayselError, match=said):
        subset(images_list(1), **options)  # type: ignore[arg-type]


def test_shards_by_glob(tmp_path: Path) -> None:
    source = open_source(str(write_files(tmp_path, dict.fromkeys(("n1/a.jpg", "n2/b.jpg", "m1/c.jpg"), b"x"))))
    names = source.shard_names()
    assert select_shards(names, None) == names
    assert select_shards(names, "n*") == ["n1", "n2"]
    images = ImagesList.build(source, [source.walk(name) for name in select_shards(names, "n*")])
    assert keys(images) == ["n1/a.jpg", "n2/b.jpg"]
    assert images.digest != ImagesList.build(source, [source.walk(name) for name in names]).digest
    with pytest.raises(RayselError, match=r"no shard matches 'x\*': there are 3, the first is 'm1'"):
        select_shards(names, "x*")
    assert pa.array(select_shards(["d/a.tar", "d/e/b.tar"], "d/*.tar")).to_pylist() == ["d/a.tar"]
    assert select_shards(["d/a.tar", "d/e/b.tar"], "**/*.tar") == ["d/a.tar", "d/e/b.tar"]
