"""The file of decoded inputs: its space is there before anything is written to it."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from raysel.pipeline.derive import input_cache
from raysel.pipeline.derive.input_cache import InputCache
from tests.small_disk import small_disk

SIZE = (20, 12)
IMAGE = SIZE[0] * SIZE[1] * 3
MOST = 1000


def blocks_of(folder: Path) -> int:
    """Bytes that the file takes on its disk."""
    return (folder / "inputs").stat().st_blocks * 512


@contextmanager
def file_size_limit(length: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(cache: InputCache) -> None:
    """Write every byte of the file: on a full disk this would end the process."""
    cache.pixels[...] = 200
    cache.present[...] = 1


def test_with_space_every_image_has_a_place(tmp_path: Path) -> None:
    cache = InputCache.open(tmp_path / "cache", MOST, SIZE)
    assert cache.pixels.shape == (MOST, *SIZE, 3)
    assert blocks_of(tmp_path / "cache") >= MOST * IMAGE, "a sparse file can grow beyond its disk"
    assert not cache.present.any()
    fill(cache)
    again = InputCache.open(tmp_path / "cache", MOST, SIZE)
    assert again.present.all()
    assert np.array_equal(again.pixels, cache.pixels)


def test_a_small_disk_has_places_for_some(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as disk:
        cache = InputCache.open(disk / "cache", MOST, SIZE)
        places = len(cache.present)
        assert places * IMAGE <= 256 << 10
        assert places * IMAGE > 128 << 10, "most of the disk is used"
        (disk / "others").write_bytes(bytes(16 << 10))  # files that others need have space
        with pytest.raises(OSError, match="No space left"):
            (disk / "more").write_bytes(bytes(256 << 10))
        fill(cache)
        assert len(InputCache.open(disk / "cache", MOST, SIZE).present) == places


def test_a_full_disk_has_places_for_none(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        with pytest.raises(OSError, match="No space left"):
            (disk / "others").write_bytes(bytes(128 << 10))
        assert len(InputCache.open(disk / "cache", MOST, SIZE).present) == 0


def test_a_limit_that_free_space_does_not_show(tmp_path: Path) -> None:
    """As of a quota."""
    limit = MOST // 3 * IMAGE
    with file_size_limit(limit):
        cache = InputCache.open(tmp_path / "cache", MOST, SIZE)
    assert limit / 3 < cache.pixels.nbytes <= limit
    assert blocks_of(tmp_path / "cache") >= cache.pixels.nbytes
    fill(cache)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert len(InputCache.open(tmp_path / "file" / "cache", MOST, SIZE).present) == 0


def test_processes_that_open_it_at_once_share_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are held by open files, so threads stand in for processes."""
    openers, reserved = 4, []
    together, allocate = threading.Barrier(openers), input_cache._allocate

    def slow(file: int, length: int) -> None:
        reserved.append(length)
        threading.Event().wait(0.2)  # the others come meanwhile
        allocate(file, length)

    def open_cache(_: int) -> InputCache:
        together.wait()
        return InputCache.open(tmp_path / "cache", MOST, SIZE)

    monkeypatch.setattr(input_cache, "_allocate", slow)
    with ThreadPoolExecutor(openers) as pool:
        caches = list(pool.map(open_cache, range(openers)))
    assert len(reserved) == 1
    fill(caches[0])
    for cache in caches:
        assert len(cache.present) == MOST
        assert cache.present.all()


def test_a_process_that_dies_while_it_reserves_blocks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(input_cache, "_allocate", die)
        with pytest.raises(KeyboardInterrupt):
            InputCache.open(tmp_path / "cache", MOST, SIZE)
    assert len(InputCache.open(tmp_path / "cache", MOST, SIZE).present) == MOST
