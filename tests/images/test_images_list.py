"""The images list: ids by sorted key, whatever the shards are."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.errors import RayselError
from raysel.images import ImagesList, Shard, Walked, open_source
from raysel.images.sources.source import walked_faults, walked_images
from tests.images.samples import contents, list_of, write_tar

NAMES = st.text(st.sampled_from("ab01-_/é𝄞 "), min_size=1, max_size=6)


class Nowhere:
    """A source that has only a URI."""

    uri = "s3://key:secret@bucket/nowhere"


def walked(name: str, keys: Sequence[str], labels: Sequence[str | None] | None = None, etag: str = "e") -> Walked:
    """A shard with images of 10 bytes each."""
    count = len(keys)
    images = walked_images(list(keys), list(labels or [None] * count), [10 * n for n in range(count)], [10] * count)
    return Walked(Shard(name, 10 * count, etag), images, 0, walked_faults([]))


def build(*parts: Walked) -> ImagesList:
    return ImagesList.build(Nowhere(), parts)  # type: ignore[arg-type]


def dealt(keys: list[str], shards: int, order: random.Random) -> list[Walked]:
    """The keys dealt out to shards at random."""
    hands: list[list[str]] = [[] for _ in range(shards)]
    for key in order.sample(keys, len(keys)):
        hands[order.randrange(shards)].append(key)
    parts = [
        walked(f"part-{number}.tar", hand, [f"label of {key}" for key in hand]) for number, hand in enumerate(hands)
    ]
    return order.sample(parts, len(parts))


@given(keys=st.sets(NAMES, min_size=1, max_size=40), shards=st.integers(1, 7), order=st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_shards(keys: set[str], shards: int, order: random.Random) -> None:
    images = build(*dealt(list(keys), shards, order))
    expected = sorted(keys, key=str.encode)  # bytewise
    assert images.images["key"].to_pylist() == expected
    assert images.images["id"].to_pylist() == list(range(len(keys)))
    assert images.images["label"].to_pylist() == [f"label of {key}" for key in expected]
    assert images.faults.num_rows == 0


@given(keys=st.sets(NAMES, min_size=1, max_size=20), shards=st.integers(1, 4), order=st.randoms(use_true_random=False))
def test_locators_lead_back(keys: set[str], shards: int, order: random.Random) -> None:
    parts = dealt(list(keys), shards, order)
    held = {part.shard.name: part.images["key"].to_pylist() for part in parts}
    images = build(*parts)
    names = images.shards["name"].to_pylist()
    assert names == sorted(held)
    for row in images.images.to_pylist():
        assert held[names[row["shard"]]][row["offset"] // 10] == row["key"]


def test_order_of_the_walks_does_not_matter() -> None:
    parts = [walked("b", ["1", "3"]), walked("a", ["2", "3"]), walked("c", [])]
    one, other = build(*parts), build(*reversed(parts))
    assert one.images.equals(other.images)
    assert one.shards.equals(other.shards)
    assert one.digest == other.digest


def test_keys_in_several_shards_get_the_shards_name_and_no_others() -> None:
    images = build(walked("x.tar", ["1", "2"]), walked("y.tar", ["1", "3"]))
    assert images.images["key"].to_pylist() == ["2", "3", "x.tar/1", "y.tar/1"]
    assert images.images["shard"].to_pylist() == [0, 1, 0, 1]
    assert images.faults.num_rows == 0


def test_a_key_that_is_still_not_unique_is_a_fault() -> None:
    images = build(walked("x.tar", ["1", "y.tar/1"]), walked("y.tar", ["1"]))
    assert images.images["key"].to_pylist() == ["x.tar/1", "y.tar/1"]
    assert images.images["shard"].to_pylist() == [0, 0]
    assert images.faults.to_pylist() == [{"key": "y.tar/1", "shard": "y.tar", "reason": "duplicate key"}]


def test_digest_changes_with_what_the_scan_sees() -> None:
    base = build(walked("a", ["1", "2"]), walked("b", ["3"]))
    assert build(walked("a", ["1", "2"]), walked("b", ["3"])).digest == base.digest
    assert build(walked("a", ["1", "2"], ["x", "y"]), walked("b", ["3"])).digest == base.digest
    others = [
        build(walked("a", ["1", "2"]), walked("b", ["4"])),
        build(walked("a", ["1", "2"]), walked("b", ["3"], etag="new")),
        build(walked("a", ["1"]), walked("b", ["2", "3"])),
        build(walked("a", ["12"]), walked("b", ["3"])),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 5


def test_classes_and_their_numbers() -> None:
    images = build(walked("a", ["1", "2", "3", "4"], ["dog", None, "cat", "dog"]))
    assert images.classes == ["cat", "dog"]
    assert images.class_numbers.tolist() == [1, -1, 0, 1]
    assert images.class_numbers.dtype == np.int32
    unlabeled = build(walked("a", ["1"]))
    assert unlabeled.classes == []
    assert unlabeled.class_numbers.tolist() == [-1]


def test_no_image_at_all(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.txt", b"1"), ("b.bin", b"2")])
    with pytest.raises(RayselError, match=r"no image in .*a\.tar: .* 1 other files"):
        list_of(open_source(str(path)))
    with pytest.raises(RayselError, match="no image in s3://bucket/nowhere"):  # and no secret
        build()


@given(cuts=st.integers(1, 7), order=st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_same_images_in_other_tars(tmp_path_factory: pytest.TempPathFactory, cuts: int, order: random.Random) -> None:
    files = {f"{number:02d}": os.urandom(order.randrange(1, 3000)) for number in range(20)}
    folder = tmp_path_factory.mktemp("shards")
    dealt_names = {key: order.randrange(cuts) for key in files}
    for shard in range(cuts):
        members = [(f"{key}.jpg", files[key]) for key in files if dealt_names[key] == shard]
        write_tar(folder / f"{shard}.tar", order.sample(members, len(members)))
    source = open_source(str(folder))
    images = list_of(source)
    assert images.images["key"].to_pylist() == sorted(files)
    assert contents(source, images) == files


def test_schema() -> None:
    images = build(walked("a", ["1"]))
    assert {field.name: str(field.type) for field in images.images.schema} == {
        "id": "int64",
        "key": "string",
        "label": "string",
        "shard": "int32",
        "offset": "int64",
        "length": "int64",
    }
    assert isinstance(images.images["key"], pa.ChunkedArray)
    assert images.images["key"].num_chunks == 1
