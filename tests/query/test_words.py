"""What words mean, and how well neurons match them, against plain loops."""

from __future__ import annotations

from typing import Any

import pytest

import raysel
from raysel.errors import RayselError
from raysel.images import imagenet1k
from raysel.query import SearchableIndex
from raysel.query.words.vocabulary import Meaning, vocabulary
from tests.query.conftest import CLASSES
from tests.store.synthetic import build

Row = dict[str, Any]
FOX, RED_FOX, ORANGE, CHIHUAHUA, RETRIEVER, BIRD, MACHINE = CLASSES


def meanings(index: SearchableIndex, word: str) -> tuple[Meaning, ...]:
    ((_, found),) = vocabulary(index).read(word)
    return found


def members(index: SearchableIndex, word: str) -> list[tuple[str, set[str]]]:
    return [(meaning.kind, set(meaning.members)) for meaning in meanings(index, word)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("red", [("color", {"red"})]),
        ("Grey", [("color", {"gray"})]),
        ("orange", [("class", {ORANGE}), ("color", {"orange"})]),
        ("crane", [("class", {BIRD}), ("class", {MACHINE})]),
        ("chihuahua", [("class", {CHIHUAHUA})]),
        ("Chihuahuas", [("class", {CHIHUAHUA})]),
        ("n02099601", [("class", {RETRIEVER})]),
        ("golden_retriever", [("class", {RETRIEVER})]),
        ("Vulpes vulpes", [("class", {RED_FOX})]),  # a synonym
        ("dog", [("concept", {CHIHUAHUA, RETRIEVER})]),
        ("dogs", [("concept", {CHIHUAHUA, RETRIEVER})]),
        ("foxes", [("concept", {FOX, RED_FOX})]),
        ("Canis familiaris", [("concept", {CHIHUAHUA, RETRIEVER})]),
        ("n02084071", [("concept", {CHIHUAHUA, RETRIEVER})]),
        ("canine", [("concept", {CHIHUAHUA, RETRIEVER, FOX, RED_FOX})]),
        ("animal", [("concept", {CHIHUAHUA, RETRIEVER, FOX, RED_FOX, BIRD})]),
        ("bird", [("concept", {BIRD})]),
        ("golden", [("classes", {RETRIEVER})]),  # a part of a name, which means nothing by itself
        ("stem", [("layer", {"stem"})]),
        ("features.3.squeeze", [("layer", {"features.3.squeeze"})]),
        ("features.3", [("layer", {"features.3.squeeze"})]),
        ("features.*", [("layer", {"features.3.squeeze", "features.10"})]),
    ],
)
def test_known_meanings(index: SearchableIndex, word: str, expected: list[tuple[str, set[str]]]) -> None:
    assert sorted(members(index, word), key=str) == sorted(expected, key=str)


def test_every_concept_above_a_class_finds_it(index: SearchableIndex) -> None:
    hierarchy = imagenet1k().hierarchy
    for label in CLASSES:
        for concept in hierarchy.above(label):
            for word in hierarchy.words[concept].split(","):
                if word.strip() not in ("crane",):
                    assert any(label in found for _, found in members(index, word.strip())), (word, label)


def test_the_longest_phrase_counts(index: SearchableIndex) -> None:
    read = vocabulary(index).read("red red fox in the stem and a dog")
    assert [word for word, _ in read] == ["red", "red fox", "stem", "dog"]


def color(row: Row, name: str) -> float:
    if row["dead"] or not row["color_names"][name]:
        return 0.0
    alpha = row["color_selectivity"]
    return (row["color_names"][name] * (1 - alpha if name in ("black", "gray", "white") else alpha)) ** 0.5


def above_chance(row: Row, labels: set[str], images: dict[str, int]) -> float:
    share = sum(entry["share"] for entry in row["classes"] or () if entry["label"] in labels)
    chance = sum(images[label] for label in labels) / sum(images.values())
    return max(0.0, (share - chance) / (1 - chance))


@pytest.mark.parametrize(
    ("words", "parts", "layers", "power"),
    [
        ("red", [{"red"}], None, 1),
        ("blue dog", [{"blue"}, {CHIHUAHUA, RETRIEVER}], None, 1 / 2),
        ("red fox", [{RED_FOX}], None, 1),
        ("fox blue stem", [{FOX, RED_FOX}, {"blue"}], {"stem"}, 1 / 2),
        ("canine features.*", [{FOX, RED_FOX, CHIHUAHUA, RETRIEVER}], {"features.3.squeeze", "features.10"}, 1),
        ("stem", [], {"stem"}, 1),
        ("stem red features.10", [{"red"}], {"stem", "features.10"}, 1),
    ],
)
def test_match_is_its_formula(
    index: SearchableIndex, words: str, parts: list[set[str]], layers: set[str] | None, power: float
) -> None:
    images = {row["label"]: row["images"] for row in index.classes.to_pylist()}
    expected = {}
    for row in index.neurons.to_pylist():
        product = 1.0 if layers is None or row["layer"] in layers else 0.0
        for part in parts:
            product *= color(row, *part) if part <= {"red", "blue"} else above_chance(row, part, images)
        match = product**power * row["n"] / (row["n"] + 1)
        if match > 0:
            expected[row["layer"], row["channel"]] = match
    found = index.find(words)
    got = {(row["layer"], row["channel"]): row["match"] for row in found.table.to_pylist()}
    assert len(expected) > 10
    assert got == pytest.approx(expected)
    assert found.table["match"].to_pylist() == sorted(got.values(), reverse=True)
    assert found.table.schema.remove(len(found.table.schema) - 1) == index.neurons.schema


def test_of_several_meanings_the_larger_counts(index: SearchableIndex) -> None:
    images = {row["label"]: row["images"] for row in index.classes.to_pylist()}
    found = index.find("crane").table.to_pylist()
    for row in found:
        parts = (above_chance(row, {BIRD}, images), above_chance(row, {MACHINE}, images))
        assert row["match"] == pytest.approx(max(parts) * row["n"] / (row["n"] + 1))


def test_words_and_conditions_are_both_met(index: SearchableIndex) -> None:
    matching = index.find("fox").table.to_pylist()
    found = index.find("fox", layer="features.*", where="hue > 0")
    expected = [row for row in matching if row["layer"].startswith("features.") and (row["hue"] or -1) > 0]
    assert len(expected) > 2
    assert found.table.to_pylist() == expected
    assert found.total == len(expected)
    by_hue = [row["hue"] for row in index.find("fox", where="hue > 0", sort="hue").table.to_pylist()]
    assert by_hue == sorted(by_hue, reverse=True)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("red", "red = color red"),
        ("orange", "orange = class orange or color orange"),
        ("cranes", "cranes = class crane (n02012849) or class crane (n03126707)"),
        ("red dogs", "red = color red; dogs = concept dog (2 classes)"),
        ("stem features.*", "stem = layer stem; features.* = layers features.* (2 layers)"),
    ],
)
def test_how_words_were_understood(index: SearchableIndex, words: str, line: str) -> None:
    assert index.find(words).understood == line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("red feature.*", "no layer 'feature.*' in this index; did you mean features.10"),
        ("chihuaha", "'chihuaha' is not a color, class, concept or layer of this index; did you mean chihuahua"),
        ("red retreiver", "'retreiver' is not a color, class, concept or layer of this index; did you mean retriever"),
        ("mushroom", "no image of this index shows 'mushroom': no class is below this concept"),
        ("red " * 33, "33 words are too many: give at most 32"),
        ("in the", "'in the' asks for nothing: write a color, a class, a concept or a layer"),
    ],
)
def test_unknown_words_are_one_line(index: SearchableIndex, words: str, line: str) -> None:
    with pytest.raises(RayselError) as raised:
        index.find(words)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def test_classes_without_wordnet(tmp_path: Any) -> None:
    index = raysel.open(build(tmp_path, classes={"a": "big cat", "b": "the cat", "0": "red"}).folder.path)
    assert members(index, "big cat") == [("class", {"a"})]
    assert members(index, "cat") == [("classes", {"a", "b"})]
    assert members(index, "red") == [("class", {"0"}), ("color", {"red"})]
    assert members(index, "a") == [("class", {"a"})]  # not an article, if it is a class
    assert members(index, "0") == [("class", {"0"})]
    with pytest.raises(RayselError, match="asks for nothing"):
        index.find("the")
