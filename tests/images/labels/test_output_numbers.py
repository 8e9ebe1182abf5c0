"""From labels to the outputs of a classifier."""

from __future__ import annotations

import pyarrow as pa
import pytest

from raysel.images import class_facts, imagenet1k, output_numbers

FLAMINGO, CRANE_BIRD, CRANE_MACHINE = 130, 134, 517


def numbers(labels: list[str], outputs: int, names: list[str] | tuple[str, ...] = ()) -> dict[str, int]:
    return output_numbers(class_facts(labels), outputs, names)


def test_numbers_are_themselves() -> None:
    assert numbers(["3", "7", "10", "-1", "dog", "1.5"], 10) == {"3": 3, "7": 7}
    assert numbers(["0", "1", "2"], 1000) == {"0": 0, "1": 1, "2": 2}


@pytest.mark.parametrize("label", ["flamingo", "n02007558", "n02007558-flamingo", "130", "Flamingo"])
def test_a_class_of_imagenet(label: str) -> None:
    assert numbers([label], 1000) == {label: FLAMINGO}


def test_all_classes_of_imagenet() -> None:
    wnids = list(imagenet1k().wnids)
    assert numbers(wnids, 1000) == {wnid: number for number, wnid in enumerate(wnids)}
    assert numbers(wnids, 1000, imagenet1k().class_names) == {wnid: number for number, wnid in enumerate(wnids)}


def test_imagenet_does_not_count_for_another_number_of_outputs() -> None:
    assert numbers(["flamingo", "n02007558"], 999) == {}


def test_names_of_outputs_come_first() -> None:
    assert numbers(["cat", "Dog", "1", "bird"], 3, ["dog", "1", "cat"]) == {"cat": 2, "Dog": 0, "1": 1}


def test_names_and_labels_may_differ_in_words() -> None:
    assert numbers(["n02007558", "tench"], 2, ["tench, Tinca tinca", "flamingo"]) == {"n02007558": 1, "tench": 0}


def test_a_name_of_two_outputs_is_neither() -> None:
    names = ["crane", "dog", "crane"]
    assert numbers(["crane", "dog"], 3, names) == {"dog": 1}
    wnids = imagenet1k().wnids
    assert numbers([wnids[CRANE_BIRD], wnids[CRANE_MACHINE]], 2, [wnids[CRANE_MACHINE], wnids[CRANE_BIRD]]) == {
        wnids[CRANE_BIRD]: 1,
        wnids[CRANE_MACHINE]: 0,
    }


def test_the_users_own_names() -> None:
    own = pa.Table.from_pylist(
        [{"label": "a", "name": "flamingo", "wnid": "n02007558", "hypernyms": None}],
        schema=class_facts([]).schema,
    )
    assert output_numbers(class_facts(["a"], own), 1000) == {"a": FLAMINGO}
    assert output_numbers(class_facts(["a"], own), 2, ["dog", "flamingo"]) == {"a": 1}
