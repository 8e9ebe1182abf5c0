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
FEW, MANY = 1 << 32, (1 << 63) - 1
"""Images that one key can number, and more than that: then entries have a second key."""
ALL_ONES = int(keys.unmix32(np.array([0xFFFF_FFFF], np.uint32))[0])

ulp_neighbours = [1.0, float(np.nextafter(np.float32(1), np.float32(2))), 6.0, 5.9999995, 1e-45, 3.4e38]
oddities = [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf]
values = st.sampled_from(ulp_neighbours + oddities) | st.floats(width=32)
few_ids = st.sampled_from([0, 1, 2, 3, 5, 8, ALL_ONES, FEW - 1]) | st.integers(0, 40)
"""Also one whose mixed id is all ones, as that of no entry is."""
many_ids = st.builds(lambda low, high: low | high << 32, few_ids, st.sampled_from([0, 0, 1, 2, (1 << 31) - 1]))
"""Ids that share their low bits as often as not."""


def batch_of(ids):
    return st.lists(st.tuples(st.integers(0, NEURONS - 1), values, ids, st.integers(0, 6)), max_size=12)


scans = st.one_of(
    st.tuples(st.just(FEW), st.lists(batch_of(few_ids), max_size=6)),
    st.tuples(st.just(MANY), st.lists(batch_of(many_ids), max_size=6)),
)
"""(How many images there may be, batches of entries: neuron, activation, image, position)."""
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
        sorted(((a, i, -p) for i, (a, p) in images.items()), key=lambda e: (-e[0], mixed(e[1] % FEW), e[1] // FEW))[
            :depth
        ]
        for images in kept
    ]


def candidates(batch) -> Candidates:
    usable = [e for e in batch if math.isfinite(np.float32(e[1])) and np.float32(e[1]) > 0]
    activations, ids = np.array([e[1] for e in usable], np.float32), np.array([e[2] for e in usable], np.int64)
    return Candidates(
        np.array([e[0] for e in usable], np.int32),
        keys.pack(activations, ids),
        np.array([e[3] for e in usable], np.int32),
        keys.high_bits(ids),
    )


def folded(batch, depth, images=FEW) -> Rankings:
    return fold(Rankings.empty(NEURONS, depth, images), candidates(batch))


def content(rankings: Rankings):
    return [
        [(float(a), int(i), int(p)) for a, i, p in zip(row_a, row_i, row_p, strict=True) if i >= 0]
        for row_a, row_i, row_p in zip(rankings.activations, rankings.ids, rankings.positions, strict=True)
    ]


def same(a: Rankings, b: Rankings) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.columns, b.columns, strict=True))


@given(st.lists(st.integers(0, FEW - 1), min_size=1))
def test_mix32_is_the_published_bijection(ids):
    array = np.array(ids, np.int64)
    assert keys.mix32(array).tolist() == [mixed(i) for i in ids]
    assert keys.unmix32(keys.mix32(array)).tolist() == ids


@given(scans, depths)
def test_folding_batches_keeps_the_best_of_their_union(scan, depth):
    images, parts = scan
    state = Rankings.empty(NEURONS, depth, images)
    for part in parts:
        state = fold(state, candidates(part))
    assert content(state) == expected([e for part in parts for e in part], depth)


@given(scans, depths)
def test_merge_of_many_operands_is_the_fold_of_all(scan, depth):
    images, parts = scan
    operands = [folded(part, depth, images) for part in parts] or [Rankings.empty(NEURONS, depth, images)]
    assert content(merge(*operands)) == expected([e for part in parts for e in part], depth)


@given(st.sampled_from([(FEW, few_ids), (MANY, many_ids)]), depths, st.data())
def test_merge_is_a_semilattice(kind, depth, data):
    images, ids = kind
    a, b, c = (folded(data.draw(batch_of(ids)), depth, images) for _ in range(3))
    assert same(merge(a, b), merge(b, a))
    assert same(merge(merge(a, b), c), merge(a, merge(b, c)))
    assert same(merge(merge(a, b), c), merge(a, b, c))
    assert same(merge(a, a), a)
    assert same(merge(a, merge(a, b)), merge(a, b))
    assert same(merge(a, Rankings.empty(NEURONS, depth, images)), a)


@given(scans, depths)
def test_a_tree_level_changes_nothing(scan, depth):
    images, parts = scan
    together = Candidates.concatenate([thin(candidates(part), depth) for part in parts])
    state = fold(Rankings.empty(NEURONS, depth, images), thin(together, depth))
    assert content(state) == expected([e for part in parts for e in part], depth)


@pytest.mark.parametrize("images", [FEW, MANY])
@pytest.mark.parametrize("threads", [False, True])
def test_many_neurons_some_of_which_have_many_candidates(images, threads):
    """Of each neuron the best of its own, however blocks are cut and on whichever thread they are folded."""
    random, neurons, depth = np.random.default_rng(5), 700, 7
    counts = random.choice([0, 1, 2, 5, 90], neurons, p=[0.1, 0.4, 0.3, 0.1, 0.1])
    neuron = random.permutation(np.repeat(np.arange(neurons, dtype=np.int32), counts))
    activations = random.random(len(neuron)).astype(np.float32) + np.float32(0.5)
    ids = random.integers(0, 50, len(neuron)) + (random.integers(0, 2, len(neuron)) << 32 if images == MANY else 0)
    found = Candidates(neuron, keys.pack(activations, ids), np.zeros(len(neuron), np.int32), keys.high_bits(ids))
    state = Rankings.empty(neurons, depth, images)
    with ThreadPoolExecutor(4) as pool:
        for part in (slice(0, None, 2), slice(1, None, 2)):
            columns = (None if column is None else column[part] for column in vars(found).values())
            fold_into(state, Candidates(*columns), pool.map if threads else map)
    thinned = fold(Rankings.empty(neurons, depth, images), thin(found, depth))
    assert same(state, thinned)
    for number in range(neurons):
        own = sorted(zip(activations[neuron == number].tolist(), ids[neuron == number].tolist(), strict=True))
        best = sorted({i: a for a, i in own}.items(), key=lambda e: (-e[1], mixed(e[0] % FEW), e[0] // FEW))
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


@given(st.lists(batch_of(few_ids), max_size=6), depths)
def test_the_way_with_two_keys_comes_to_the_same_as_that_with_one(parts, depth):
    one, two = Rankings.empty(NEURONS, depth, FEW), Rankings.empty(NEURONS, depth, MANY)
    for part in parts:
        one, two = fold(one, candidates(part)), fold(two, candidates(part))
    assert (one.high, two.high is None) == (None, False)
    assert content(one) == content(two)
    assert same(one, Rankings(two.keys, two.positions))


@given(scans, depths)
def test_rankings_are_made_again_from_their_entries(scan, depth):
    images, parts = scan
    state = fold(Rankings.empty(NEURONS, depth, images), Candidates.concatenate([candidates(part) for part in parts]))
    neuron, rank = np.nonzero(state.ids >= 0)
    entries = (column[neuron, rank] for column in (state.activations, state.ids, state.positions))
    assert content(Rankings.from_entries(NEURONS, depth, neuron, rank, *entries)) == content(state)


@pytest.mark.parametrize(("images", "high"), [(FEW - 1, False), (FEW, False), (FEW + 1, True)])
def test_a_second_key_is_there_only_where_it_is_needed(images, high):
    assert (Rankings.empty(1, 1, images).high is not None) == high


def test_rankings_for_few_images_refuse_an_id_that_they_cannot_hold():
    with pytest.raises(ValueError, match=r"past 2\*\*32"):
        fold(Rankings.empty(NEURONS, 2, FEW), candidates([(0, 1.0, FEW, 0)]))


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans(), st.booleans())
def test_the_floor_of_any_earlier_state_is_safe(seed, depth, tied, many):
    """Selection with stale floors, from dense activations with copies that differ in the last bit."""
    random = np.random.default_rng(seed)
    number = np.arange(30) % 10 + (np.arange(30) // 10 << 32) if many else np.arange(30)
    batches_of_images = [random.choice(30, size=8, replace=False) for _ in range(8)]
    state = Rankings.empty(NEURONS, depth, MANY if many else FEW)
    truth, stale = [], [state.floors]
    base = random.integers(0, 4, (30, NEURONS)) if tied else random.normal(size=(30, NEURONS))
    sent = 0
    for rows in batches_of_images:
        activations, ids = base[rows].astype(np.float32), number[rows]
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
