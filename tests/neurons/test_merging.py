"""The merge of rankings, against a dictionary that keeps everything and cuts only at the end."""

from __future__ import annotations

import math
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.neurons import keys, merging
from raysel.neurons.merging import fold, fold_into, merge, select, thin
from raysel.neurons.ranking import Candidates, Rankings

NEURONS = 3
ALL_ONES = int(keys.unmix32(np.array([0xFFFF_FFFF], np.uint32))[0])

ulp_neighbours = [1.0, float(np.nextafter(np.float32(1), np.float32(2))), 6.0, 5.9999995, 1e-45, 3.4e38]
oddities = [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf]
values = st.sampled_from(ulp_neighbours + oddities) | st.floats(width=32)
ids = st.sampled_from([0, 1, 2, 3, 5, 8, ALL_ONES, keys.MAX_IMAGES - 1]) | st.integers(0, 40)
"""Image ids, among them the one whose mixed id is all ones, like that of an empty entry."""
batches = st.lists(st.tuples(st.integers(0, NEURONS - 1), values, ids, st.integers(0, 6)), max_size=12)
"""Entries: neuron, activation, image id, position."""
scans = st.lists(batches, max_size=6)
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
    activations, ids = np.array([e[1] for e in usable], np.float32), np.array([e[2] for e in usable], np.int64)
    return Candidates(
        np.array([e[0] for e in usable], np.int32),
        keys.pack(activations, ids),
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
    return all(np.array_equal(x, y) for x, y in zip(a.columns, b.columns, strict=True))


@given(st.lists(st.integers(0, keys.MAX_IMAGES - 1), min_size=1))
def test_mix32_is_the_published_bijection(ids):
    array = np.array(ids, np.int64)
    assert keys.mix32(array).tolist() == [mixed(i) for i in ids]
    assert keys.unmix32(keys.mix32(array)).tolist() == ids


@given(scans, depths)
def test_folding_batches_keeps_the_best_of_their_union(scan, depth):
    state = Rankings.empty(NEURONS, depth)
    for part in scan:
        state = fold(state, candidates(part))
    assert content(state) == expected([e for part in scan for e in part], depth)


@given(scans, depths)
def test_merge_of_many_operands_is_the_fold_of_all(scan, depth):
    operands = [folded(part, depth) for part in scan] or [Rankings.empty(NEURONS, depth)]
    assert content(merge(*operands)) == expected([e for part in scan for e in part], depth)


@given(batches, batches, batches, depths)
def test_merge_is_a_semilattice(first, second, third, depth):
    a, b, c = (folded(batch, depth) for batch in (first, second, third))
    assert same(merge(a, b), merge(b, a))
    assert same(merge(merge(a, b), c), merge(a, merge(b, c)))
    assert same(merge(merge(a, b), c), merge(a, b, c))
    assert same(merge(a, a), a)
    assert same(merge(a, merge(a, b)), merge(a, b))
    assert same(merge(a, Rankings.empty(NEURONS, depth)), a)


@given(scans, depths)
def test_a_tree_level_changes_nothing(scan, depth):
    together = Candidates.concatenate([thin(candidates(part), depth) for part in scan])
    state = fold(Rankings.empty(NEURONS, depth), thin(together, depth))
    assert content(state) == expected([e for part in scan for e in part], depth)


@pytest.mark.parametrize("threads", [False, True])
def test_many_neurons_some_of_which_have_many_candidates(threads):
    """Of each neuron the best of its own, however blocks are cut and on whichever thread they are folded."""
    random, neurons, depth = np.random.default_rng(5), 700, 7
    counts = random.choice([0, 1, 2, 5, 90], neurons, p=[0.1, 0.4, 0.3, 0.1, 0.1])
    neuron = random.permutation(np.repeat(np.arange(neurons, dtype=np.int32), counts))
    activations = random.random(len(neuron)).astype(np.float32) + np.float32(0.5)
    ids = random.integers(0, 50, len(neuron))
    found = Candidates(neuron, keys.pack(activations, ids), np.zeros(len(neuron), np.int32))
    state = Rankings.empty(neurons, depth)
    with ThreadPoolExecutor(4) as pool:
        for part in (slice(0, None, 2), slice(1, None, 2)):
            columns = (column[part] for column in vars(found).values())
            fold_into(state, Candidates(*columns), pool.map if threads else map)
    thinned = fold(Rankings.empty(neurons, depth), thin(found, depth))
    assert same(state, thinned)
    for number in range(neurons):
        own = sorted(zip(activations[neuron == number].tolist(), ids[neuron == number].tolist(), strict=True))
        best = sorted({i: a for a, i in own}.items(), key=lambda e: (-e[1], mixed(e[0])))
        assert state.ids[number][state.ids[number] >= 0].tolist() == [i for i, _ in best[:depth]]


def test_one_neuron_with_many_candidates_does_not_widen_the_rows_of_all(monkeypatch):
    """Images come class by class, and a neuron of that class takes hundreds of them."""
    sorted_entries, best = [], merging._best

    def counting(rows, depth):
        sorted_entries.append(rows.keys.size)
        return best(rows, depth)

    monkeypatch.setattr(merging, "_best", counting)
    neurons, depth, many = 2_000, 10, 3_000
    neuron = np.concatenate([np.arange(neurons), np.zeros(many, int)]).astype(np.int32)
    ids = np.arange(len(neuron))
    found = Candidates(neuron, keys.pack(np.ones(len(neuron), np.float32), ids), np.zeros(len(neuron), np.int32))
    for _ in range(2):
        fold(Rankings.empty(neurons, depth), found)
        thin(found, depth)
    block = merging._BLOCK_NEURONS
    assert max(sorted_entries) <= block * (depth + many + 1)
    assert sum(sorted_entries) <= 4 * (neurons * (depth + 1) + block * (many + 1))


@given(scans, depths)
def test_rankings_are_made_again_from_their_entries(scan, depth):
    state = fold(Rankings.empty(NEURONS, depth), Candidates.concatenate([candidates(part) for part in scan]))
    neuron, rank = np.nonzero(state.ids >= 0)
    entries = (column[neuron, rank] for column in (state.activations, state.ids, state.positions))
    assert content(Rankings.from_entries(NEURONS, depth, neuron, rank, *entries)) == content(state)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_the_floor_of_any_earlier_state_is_safe(seed, depth, tied):
    """Selection with stale floors, from dense activations with copies that differ in the last bit."""
    random = np.random.default_rng(seed)
    batches_of_images = [random.choice(30, size=8, replace=False) for _ in range(8)]
    state = Rankings.empty(NEURONS, depth)
    truth, stale = [], [state.floors]
    base = random.integers(0, 4, (30, NEURONS)) if tied else random.normal(size=(30, NEURONS))
    sent = 0
    for rows in batches_of_images:
        activations, ids = base[rows].astype(np.float32), rows
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
