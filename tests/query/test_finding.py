"""`find` compared with a plain filter and sort in Python."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.errors import RayselError
from raysel.query import Question, SearchableIndex, find
from raysel.query.selection import ordered

Row = dict[str, Any]
Bounds = tuple[float | None, float | None]


def plain(rows: list[Row], layer: str | None, bounds: dict[str, Bounds], sort: str, descending: bool) -> list[Row]:
    """The specification of `find`, row by row."""
    chosen = []
    for row in rows:
        if layer is not None and not fnmatchcase(row["layer"], layer):
            continue
        for column, (least, most) in bounds.items():
            value = row[column]
            if value is None or (least is not None and value < least) or (most is not None and value > most):
                break
        else:
            chosen.append(row)
    known = [row for row in chosen if row[sort] is not None]
    known.sort(key=lambda row: row[sort], reverse=descending)  # a stable sort, also in reverse
    return known + [row for row in chosen if row[sort] is None]


def condition(bounds: dict[str, Bounds]) -> str:
    parts = [
        f"{column} {sign} {bound!r}"
        for column, pair in bounds.items()
        for sign, bound in zip((">=", "<="), pair, strict=True)
        if bound is not None
    ]
    return " and ".join(parts)


def bounds_between(least: Any, middle: Any, most: Any) -> st.SearchStrategy[Bounds | None]:
    number = st.floats if isinstance(middle, float) else st.integers
    pairs = st.tuples(number(least, middle), st.none()) | st.tuples(
        st.none() | number(least, middle), number(middle, most)
    )
    return st.none() | pairs


@settings(max_examples=150, deadline=None)
@given(
    layer=st.sampled_from([None, "*", "features.*", "stem", "*.1?", "[fs]*e*"]),
    color=bounds_between(-0.1, 0.6, 1.1),
    class_=bounds_between(-0.1, 0.6, 1.1),
    hue=bounds_between(-180, 0, 180),
    sort=st.sampled_from(
        [None, "color_selectivity", "class_selectivity", "hue", "a_max", "n", "dead", "label", "channel"]
    ),
    direction=st.sampled_from([None, "ascending", "descending"]),
    limit=st.none() | st.integers(1, 200),
    offset=st.integers(0, 130),
)
def test_find_is_a_plain_filter_and_sort(
    index: SearchableIndex,
    layer: str | None,
    color: Bounds | None,
    class_: Bounds | None,
    hue: Bounds | None,
    sort: str | None,
    direction: Any,
    limit: int | None,
    offset: int,
) -> None:
    pairs = {"color_selectivity": color, "class_selectivity": class_, "hue": hue}
    bounds = {column: bounds for column, bounds in pairs.items() if bounds is not None}
    question = Question("", layer, condition(bounds), (), sort, direction, limit, offset)
    found = find(index, question)
    by = sort or next(iter(bounds), "color_selectivity")
    descending = direction == "descending" if direction else by != "label"
    expected = plain(index.neurons.to_pylist(), layer, bounds, by, descending)
    assert found.total == len(expected)
    assert found.table.to_pylist() == expected[offset:][:limit]
    assert found.table.schema == index.neurons.schema


def test_layers_are_in_the_order_of_the_network(index: SearchableIndex) -> None:
    names = list(dict.fromkeys(row["layer"] for row in index.neurons.to_pylist()))
    assert names != sorted(names)
    by_layer = index.find(sort="layer").table
    assert by_layer.to_pylist() == index.neurons.to_pylist()
    backwards = index.find(sort="layer", direction="descending").table
    assert list(dict.fromkeys(backwards["layer"].to_pylist())) == names[::-1]
    assert backwards["channel"].to_pylist()[:3] == [0, 1, 2]


def test_nan_is_between_numbers_and_null() -> None:
    table = pa.table({"x": pa.array([None, math.nan, 0.3, 0.5], pa.float32())})
    assert ordered(table, [True] * 4, "x", "ascending").tolist() == [2, 3, 1, 0]


def test_the_first_fractional_column_of_a_condition_orders(index: SearchableIndex) -> None:
    found = index.find(where="layer_depth >= 1 and label like 'n02%' and hue > 0 and chroma > 0.1")
    hues = found.table["hue"].to_pylist()
    assert len(hues) > 3
    assert hues == sorted(hues, reverse=True)
    assert found.asked == ("layer_depth", "label", "hue", "chroma")


def test_parts_of_columns(index: SearchableIndex) -> None:
    found = index.find(where="color_names.red >= 0.5", sort="color_names.red", direction="ascending")
    reds = [row["red"] for row in found.table["color_names"].to_pylist()]
    expected = [row["color_names"]["red"] for row in index.neurons.to_pylist() if row["color_names"]]
    assert reds == sorted(red for red in expected if red >= 0.5)
    assert len(reds) > 5


def test_only_some_neurons(index: SearchableIndex) -> None:
    chosen = index.find(neurons=["stem:3", "features.10:7", "stem:3"], sort="layer")
    assert [neuron.address for neuron in chosen] == ["stem:3", "features.10:7"]
    assert index.find(neurons=["stem:3", "features.10:7"], layer="stem").total == 1


def test_no_neuron_meets_the_conditions(index: SearchableIndex) -> None:
    found = index.find(where="color_selectivity > 2")
    assert (len(found), found.total) == (0, 0)
    assert found.table.schema == index.neurons.schema


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ({"layer": "featurs.*"}, "no layer 'featurs.*' in this index; did you mean features.10"),
        ({"sort": "color_selectivty"}, "no column 'color_selectivty' in this index; did you mean color_selectivity"),
        ({"sort": "match"}, "column 'match' is printed, but not stored in the index: it needs words"),
        ({"where": "nothing > 1"}, "no column 'nothing' in this index"),
        ({"where": "label > 1"}, "column label holds text"),
        ({"sort": "classes"}, "column classes is a list: take one of numbers or text"),
        ({"sort": "color_names"}, "column color_names has parts: write one of them, such as color_names.red"),
        ({"limit": 0}, "a limit of 0 shows nothing"),
        ({"offset": -1}, "an offset of -1 is negative"),
        ({"neurons": ("stem",)}, "'stem' is not a neuron: write LAYER:CHANNEL"),
        ({"neurons": ("stem:70",)}, "layer stem has channels 0 to 69, not 70"),
        ({"words": "violett"}, "'violett' is not a color, class, concept or layer of this index"),
    ],
)
def test_impossible_questions_are_one_line(index: SearchableIndex, question: dict[str, Any], line: str) -> None:
    with pytest.raises(RayselError) as raised:
        find(index, Question(**question))
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)
