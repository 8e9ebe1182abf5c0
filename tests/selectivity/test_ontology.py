"""Covering concepts and class selectivity at a cut: known answers in WordNet and by hand, and the plain reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.images import Hierarchy
from raysel.selectivity import measure
from raysel.selectivity.ontology import INDEX
from tests import reference
from tests.selectivity.evidence import evidence

COLUMNS = [column.name for column in INDEX.columns]
DIAMOND = Hierarchy(
    {
        "thing": (),
        "animal": ("thing",),
        "pet": ("animal",),
        "hunter": ("animal",),
        "dog": ("pet", "hunter"),
        "cat": ("pet", "hunter"),
        "poodle": ("dog",),
        "beagle": ("dog",),
        "tabby": ("cat",),
        "owl": ("hunter",),
        "hamster": ("pet",),
        "car": ("thing",),
    },
    {},
)
"""Cats and dogs are both pets and hunters."""


def ontology(labels: list[str | None], weights: Any = None, **known: Any) -> dict[str, Any]:
    values = measure(evidence(labels=labels, weights=weights or [1.0] * len(labels), **known))
    return {name: values[name] for name in COLUMNS}


def by_hand(labels: list[str | None], weights: Any = None, **known: Any) -> dict[str, Any]:
    return ontology(labels, weights, hierarchy=DIAMOND, **known)


@pytest.mark.parametrize(
    ("labels", "concept", "wnid"),
    [
        (["beagle"] * 3, "beagle", "n02088364"),
        (["beagle", "bluetick", "basset"], "hound", "n02087551"),
        (["beagle", "Airedale", "cocker spaniel"], "hunting dog", "n02087122"),
        (["beagle", "Siberian husky", "pug"], "dog", "n02084071"),
        (["beagle", "tabby"], "carnivore", "n02075296"),
        (["beagle", "sports car"], "whole", "n00003553"),
        (["n02088364", "n02096051", "n02102318"], "hunting dog", "n02087122"),  # the same three by wnid
        (["162", "191", "219"], "hunting dog", "n02087122"),  # and by index
    ],
)
def test_known_neurons_in_wordnet(labels: list[str | None], concept: str, wnid: str) -> None:
    got = ontology(labels)
    assert (got["concept"], got["concept_wnid"], got["concept_share"]) == (concept, wnid, 1)
    assert (got["concept_selectivity"], got["concept_classes"]) == (None, None)


def test_a_concept_covers_a_neuron_from_the_share_that_was_asked_for() -> None:
    labels: list[str | None] = ["beagle", "Airedale", "cocker spaniel", "Siberian husky", "tabby"]
    assert ontology(labels)["concept"] == "dog"
    assert ontology(labels)["concept_share"] == pytest.approx(0.8)
    assert ontology(labels, concept_share=0.6)["concept"] == "hunting dog"
    assert ontology(labels, concept_share=0.81)["concept"] == "carnivore"
    heavy_tabby = ontology(labels, [0.9, 0.9, 0.9, 0.9, 1.0])
    assert (heavy_tabby["concept"], heavy_tabby["concept_share"]) == ("carnivore", 1)


def test_a_class_below_two_parents_counts_once_above_them() -> None:
    """Both paths from dog and cat meet in animal again."""
    got = by_hand(["poodle", "tabby", "owl", "car"], concept_share=0.7)
    assert (got["concept"], got["concept_share"]) == ("hunter", 0.75)
    assert by_hand(["poodle", "tabby", "owl", "hamster", "car"])["concept_share"] == pytest.approx(0.8)
    assert by_hand(["poodle", "tabby", "owl", "hamster", "car"])["concept"] == "animal"


def test_of_equally_deep_concepts_the_larger_share_covers_then_the_first_name() -> None:
    labels: list[str | None] = ["poodle", "poodle", "tabby", "owl"]
    assert by_hand(labels, concept_share=0.7)["concept"] == "hunter"
    assert by_hand(["poodle", "tabby"])["concept"] == "hunter"  # as large as pet
    assert by_hand(["poodle", "beagle", "hamster"], concept_share=0.6)["concept"] == "dog"


def test_dogs_and_cats_as_one_class_each() -> None:
    labels: list[str | None] = ["beagle", "Airedale", "Siberian husky", "tabby", "Persian cat", "sports car"]
    got = ontology(labels, concepts="dog, cat")
    # N = 6, M = 3: dog, cat, and the car, which keeps itself
    assert got["concept_selectivity"] == pytest.approx(3 / 5)
    assert [(entry["label"], entry["share"]) for entry in got["concept_classes"]] == [
        ("dog", pytest.approx(1 / 2)),
        ("cat", pytest.approx(1 / 3)),
        ("sports car", pytest.approx(1 / 6)),
    ]
    assert ontology(labels, concepts="dog,cat,vehicle")["concept_classes"][2]["label"] == "vehicle"


def test_a_class_goes_to_its_nearest_concept_of_the_cut_then_to_the_first() -> None:
    near = by_hand(["poodle", "poodle", "owl"], concepts="dog,hunter,animal")
    assert [entry["label"] for entry in near["concept_classes"]] == ["dog", "hunter"]
    tied = by_hand(["poodle", "tabby", "owl"], concepts="pet,hunter")
    assert [entry["label"] for entry in tied["concept_classes"]] == ["hunter"]
    assert tied["concept_selectivity"] == 1


def test_a_cut_at_a_depth() -> None:
    got = by_hand(["poodle", "beagle", "tabby", "car"], concepts="3")
    assert [entry["label"] for entry in got["concept_classes"]] == ["dog", "car", "cat"]
    assert got["concept_selectivity"] == pytest.approx(1 / 3)
    assert by_hand(["poodle", "tabby", "car"], concepts="0")["concept_selectivity"] == 1


def test_the_class_threshold_counts_at_the_cut_too() -> None:
    got = by_hand(["poodle", "beagle", "beagle", "car"], concepts="dog", class_threshold=0.7)
    assert (got["concept_selectivity"], len(got["concept_classes"])) == (1, 1)


def test_labels_outside_of_the_hierarchy() -> None:
    assert ontology(["blob", "wug"], concepts="dog") == dict.fromkeys(COLUMNS)
    some = ontology(["beagle", "beagle", "beagle", "blob"], concepts="dog")
    assert (some["concept"], some["concept_selectivity"]) == (None, pytest.approx(2 / 3))
    assert [entry["label"] for entry in some["concept_classes"]] == ["dog", "blob"]
    assert ontology(["beagle"] * 4 + ["blob"])["concept"] == "beagle"


def test_without_labels_all_is_null() -> None:
    assert ontology([None, None], concepts="dog") == dict.fromkeys(COLUMNS)


def test_one_image_has_a_concept_but_no_selectivity() -> None:
    got = by_hand(["poodle", None], concepts="dog")
    assert (got["concept"], got["concept_share"], got["concept_selectivity"]) == ("poodle", 1, None)
    assert got["concept_classes"] == [{"label": "dog", "share": 1}]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Concepts whose parents are any of those before them."""
    names = [f"c{number}" for number in range(draw(st.integers(1, 9)))]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=3))) if place else ()
        for place, name in enumerate(names)
    }


@settings(max_examples=150, deadline=None)
@given(data=st.data(), parents=graphs())
def test_any_graph_equals_the_reference(data: st.DataObject, parents: dict[str, tuple[str, ...]]) -> None:
    concepts = sorted(parents)
    labels = data.draw(st.lists(st.sampled_from([*concepts, "outside", None]), min_size=1, max_size=12))
    weights = data.draw(st.lists(st.sampled_from([1.0, 0.9, 0.75]), min_size=len(labels), max_size=len(labels)))
    least, cut = data.draw(st.sampled_from([0.3, 0.5, 0.8, 1.0])), data.draw(st.sets(st.sampled_from(concepts)))
    options: dict[str, Any] = {"concept_share": least, "concepts": ",".join(cut) or None}
    got = ontology(labels, weights, hierarchy=Hierarchy(parents, {}), **options)
    if not any(label in parents for label in labels):
        assert got == dict.fromkeys(COLUMNS)
        return
    concept, share = reference.covering_concept(dict(reference.class_shares(weights, labels)), parents, least)
    assert got["concept"] == concept
    assert got["concept_share"] == pytest.approx(share)
    if not cut:
        assert got["concept_classes"] is None
        return
    grouped = [label and reference.at_cut(label, parents, cut) for label in labels]
    expected = reference.classes(weights, grouped, [len(labels)])
    assert got["concept_selectivity"] == expected["class_selectivity"]
    assert [entry["label"] for entry in got["concept_classes"]] == [each["label"] for each in expected["classes"]]  # type: ignore[attr-defined]
