"""The cache is bounded, computes a value once, and never waits for itself."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysel.explorer.picture_cache import BoundedCache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40))))
def test_it_never_holds_more_than_its_bound(asked):
    cache, sizes = BoundedCache(100), {}
    for key, size in asked:
        size = sizes.setdefault(key, size)
        assert cache.get(key, lambda key=key, size=size: (f"value {key}", size)) == f"value {key}"
        assert cache.bytes <= 100


def test_the_least_recently_used_goes_first():
    cache, made = BoundedCache(3), []

    def get(key: str) -> None:
        cache.get(key, lambda: (made.append(key), 1))

    for key in "abcadbea":
        get(key)
    assert "".join(made) == "abcdbea"


def test_what_is_too_large_is_given_but_not_kept():
    cache = BoundedCache(10)
    assert cache.get("a", lambda: ("large", 11)) == "large"
    assert cache.bytes == 0


def test_threads_that_miss_at_once_compute_once():
    cache, made, together = BoundedCache(100), [], threading.Barrier(8)

    def get(_: int) -> object:
        together.wait(10)
        return cache.get("key", lambda: (made.append(1) or object(), 1))

    with ThreadPoolExecutor(8) as threads:
        values = set(threads.map(get, range(8)))
    assert len(values) == len(made) == 1


@pytest.mark.timeout(20)
def test_values_may_be_made_of_others():
    cache = BoundedCache(10_000)

    def nested(key: int) -> tuple[int, int]:
        return (cache.get(key - 1, lambda: nested(key - 1)) + 1 if key else 0), 1

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda key: cache.get(key, lambda: nested(key)), range(199, -1, -1))) == list(
            range(199, -1, -1)
        )


def test_a_failure_is_not_kept():
    cache = BoundedCache(10)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.get("key", lambda: ("value", 1)) == "value"
