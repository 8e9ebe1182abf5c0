"""The merge of rankings, against a dictionary that keeps everything and cuts only at the end."""

from __future__ import annotations

import math
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.neurons import keys
from raysel.neurons.ranking import Candidates, Rankings, fold, merge, select, thin

NEURONS = 3
LAST_ID = (1 << 32) - 1
ALL_ONES = int(keys.unmix32(np.array([0xFFFF_FFFF], np.uint32))[0])

ulp_neighbours = [1.0, float(np.nextafter(np.float32(1), np.float32(2))), 6.0, 5.9999995, 1e-45, 3.4e38]
oddities = [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf]
values = st.sampled_from(ulp_neighbours + oddities) | st.floats(width=32)
entries = st.tuples(
    st.integers(0, NEURONS - 1),
    values,
    st.sampled_from([0, 1, 2, 3, 5, 8, ALL_ONES, LAST_ID]) | st.integers(0, 40),
    st.integers(0, 6),
)
batches = st.lists(st.lists(entries, max_size=12), max_size=6)
depths = st.integers(1, 5)


def mixed(number: int) -> int:
    """mix32, one number at a time, in Python's own integers."""
    x = number
    x ^= x >> 16
    x = x * 0x7FEB352D & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x846CA68B & 0xFFFFFFFF
    return x ^ (x >> 16)


def expected(all_entries, depth):
    """Per neuron [(activation, id, position)]: largest activation of an image, then first position; order; cut."""
    kept = [{} for _ in range(NEURONS)]
    for neuron, activation, image, position in all_entries:
        activation = struct.unpack("f", struct.pack("f", activation))[0]
        if math.isfinite(activation) and activation > 0:
            best = kept[neuron].get(image)
            candidate = (activation, -position)
            if best is None or candidate > best:
                kept[neuron][image] = candidate
    return [
        sorted(((a, i, -p) for i, (a, p) in images.items()), key=lambda e: (-e[0], mixed(e[1])))[:depth]
        for images in kept
    ]


def candidates(batch) -> Candidates:
    usable = [e for e in batch if math.isfinite(np.float32(e[1])) and np.float32(e[1]) > 0]
    activations = np.array([e[1] for e in usable], np.float32)
    return Candidates(
        np.array([e[0] for e in usable], np.int32),
        keys.pack(activations, np.array([e[2] for e in usable], np.int64)),
        np.array([e[3] for e in usable], np.int32),
    )


def folded(batch, depth) -> Rankings:
    return fold(Rankings.empty(NEURONS, depth), candidates(batch))


def content(rankings: Rankings):
    return [
        [(float(a), int(i), int(p)) for a, i, p in zip(row_a, row_i, row_p, strict=True) if i >= 0]
        for row_a, row_i, row_p in zip(rankings.activations, rankings.ids, rankings.positions, strict=True)
    ]


def same(a: Rankings, b: Rankings) -> bool:
    return np.array_equal(a.keys, b.keys) and np.array_equal(a.positions, b.positions)


@given(st.lists(st.integers(0, LAST_ID), min_size=1))
def test_mix32_is_the_published_bijection(ids):
    array = np.array(ids, np.int64)
    assert keys.mix32(array).tolist() == [mixed(i) for i in ids]
    assert keys.unmix32(keys.mix32(array)).tolist() == ids


@given(batches, depths)
def test_folding_batches_keeps_the_best_of_their_union(parts, depth):
    state = Rankings.empty(NEURONS, depth)
    for part in parts:
        state = fold(state, candidates(part))
    assert content(state) == expected([e for part in parts for e in part], depth)


@given(batches, depths)
def test_merge_of_many_operands_is_the_fold_of_all(parts, depth):
    operands = [folded(part, depth) for part in parts] or [Rankings.empty(NEURONS, depth)]
    assert content(merge(*operands)) == expected([e for part in parts for e in part], depth)


@given(st.lists(entries, max_size=12), st.lists(entries, max_size=12), st.lists(entries, max_size=12), depths)
def test_merge_is_a_semilattice(x, y, z, depth):
    a, b, c = folded(x, depth), folded(y, depth), folded(z, depth)
    assert same(merge(a, b), merge(b, a))
    assert same(merge(merge(a, b), c), merge(a, merge(b, c)))
    assert same(merge(merge(a, b), c), merge(a, b, c))
    assert same(merge(a, a), a)
    assert same(merge(a, merge(a, b)), merge(a, b))
    assert same(merge(a, Rankings.empty(NEURONS, depth)), a)


@given(batches, depths)
def test_a_tree_level_changes_nothing(parts, depth):
    together = Candidates.concatenate([thin(candidates(part), depth) for part in parts])
    state = fold(Rankings.empty(NEURONS, depth), thin(together, depth))
    assert content(state) == expected([e for part in parts for e in part], depth)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_the_floor_of_any_earlier_state_is_safe(seed, depth, tied):
    """Selection with stale floors, from dense activations with copies that differ in the last bit."""
    random = np.random.default_rng(seed)
    batches_of_images = [random.choice(30, size=8, replace=False) for _ in range(8)]
    truth, state, stale = [], Rankings.empty(NEURONS, depth), [Rankings.empty(NEURONS, depth).floors]
    base = random.integers(0, 4, (30, NEURONS)) if tied else random.normal(size=(30, NEURONS))
    sent = 0
    for ids in batches_of_images:
        activations = base[ids].astype(np.float32)
        activations = np.where(
            random.random(activations.shape) < 0.2, np.nextafter(activations, np.float32(9)), activations
        )
        positions = random.integers(0, 5, activations.shape)
        truth += [
            (n, float(activations[j, n]), int(ids[j]), int(positions[j, n]))
            for j in range(len(ids))
            for n in range(NEURONS)
        ]
        found = select(activations, positions, ids, stale[random.integers(len(stale))])
        sent += len(found)
        state = fold(state, found)
        stale.append(state.floors)
    assert content(state) == expected(truth, depth)
    assert sent <= len(truth)


def test_select_sends_only_what_precedes_the_floor():
    ids = np.arange(5)
    activations = np.array([[5], [4], [3], [2], [1]], np.float32)
    state = fold(Rankings.empty(1, 2), select(activations, np.zeros((5, 1), int), ids, Rankings.empty(1, 2).floors))
    assert content(Rankings(state.keys, state.positions))[0] == [(5.0, 0, 0), (4.0, 1, 0)]
    more = select(np.array([[3.9], [4.1]], np.float32), np.zeros((2, 1), int), np.array([7, 8]), state.floors)
    assert keys.ids_of(more.keys).tolist() == [8]


def test_fold_leaves_its_operand_alone():
    state = folded([(0, 1.0, 3, 2)], 2)
    before = state.keys.copy()
    fold(state, candidates([(0, 2.0, 4, 1)]))
    assert np.array_equal(state.keys, before)
