"""Slices: every image once, consecutive images, in a seeded order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raysel.images import ImagesList, slices
from tests.images.test_images_list import build, walked


def images_in(counts: list[int], seed: int = 0) -> ImagesList:
    """Shards with these numbers of images, whose keys are not in reading order."""
    names = np.random.default_rng(seed).permutation(sum(counts))
    ends = np.cumsum([0, *counts])
    return build(
        *(walked(f"{n:03d}", [f"{key:07d}" for key in names[ends[n] : ends[n + 1]]]) for n in range(len(counts)))
    )


@given(
    counts=st.lists(st.integers(0, 400), min_size=1, max_size=12).filter(any),
    slice_images=st.integers(1, 300),
    seed=st.integers(0, 5),
)
def test_partition(counts: list[int], slice_images: int, seed: int) -> None:
    images = images_in(counts)
    cut = slices(images, slice_images, seed)
    assert sorted(np.concatenate([s.ids for s in cut]).tolist()) == list(range(sum(counts)))
    shard, offset = images.images["shard"].to_numpy(), images.images["offset"].to_numpy()
    for number, s in enumerate(cut):
        assert s.number == number
        assert s.ids.dtype == np.int64
        assert (shard[s.ids] == s.shard).all()
        assert (np.diff(offset[s.ids]) == 10).all()  # consecutive, in reading order
        assert len(s.ids) <= slice_images
    if slice_images >= 64:
        for k, count in enumerate(counts):
            sizes = [len(s.ids) for s in sorted(cut, key=lambda s: offset[s.ids[0]]) if s.shard == k]
            assert all(size % 64 == 0 for size in sizes[:-1]), count


def test_function_of_its_arguments() -> None:
    images = images_in([1000, 1000, 1000])
    one, again, other = (slices(images, 100, seed) for seed in (3, 3, 4))
    assert [s.ids.tolist() for s in one] == [s.ids.tolist() for s in again]
    assert [s.ids.tolist() for s in one] != [s.ids.tolist() for s in other]
    assert sorted(s.ids.tolist() for s in one) == sorted(s.ids.tolist() for s in other)
    assert [s.shard for s in one] != sorted(s.shard for s in one)


def test_small_sources_have_enough_slices_for_parallel_work() -> None:
    assert len(slices(images_in([60]), 2048, 0)) == 1
    assert len(slices(images_in([3000]), 2048, 0)) == 47  # of 64 images, and a rest
    assert 60 < len(slices(images_in([12_800]), 2048, 0)) < 70
    assert max(len(s.ids) for s in slices(images_in([300_000]), 2048, 0)) <= 2048


def test_folder_is_read_in_order_of_its_keys() -> None:
    part = walked("", ["c", "a", "b"])
    zero = part.images.set_column(2, part.images.schema.field("offset"), [[0, 0, 0]])
    images = build(type(part)(part.shard, zero, 0, part.faults))
    assert [s.ids.tolist() for s in slices(images, 2048, 0)] == [[0, 1, 2]]
