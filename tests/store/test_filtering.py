"""`Index.find` compared with a plain filter and sort in Python."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import raysel
from raysel.errors import RayselError
from raysel.store import Index, find_neurons
from tests.store.synthetic import build

Row = dict[str, Any]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return raysel.open(build(tmp_path_factory.mktemp("index"), seed=5).folder.path)


def _plain(rows: list[Row], layer: str | None, ranges: dict[str, Any], sort: str, limit: int | None) -> list[Row]:
    """The specification of `Index.find`, row by row."""
    chosen = []
    for row in rows:
        if layer is not None and not fnmatchcase(row["layer"], layer):
            continue
        for column, (least, most) in ranges.items():
            value = row[column]
            if value is None or (least is not None and value < least) or (most is not None and value > most):
                break
        else:
            chosen.append(row)
    text = any(isinstance(row[sort], str) for row in rows)
    chosen.sort(key=lambda row: (row["layer_depth"], row["channel"]))
    known = [row for row in chosen if row[sort] is not None]
    known.sort(key=lambda row: row[sort], reverse=not text)  # a stable sort, also in reverse
    return (known + [row for row in chosen if row[sort] is None])[:limit]


_RANGES = st.none() | st.tuples(st.none() | st.floats(-0.1, 0.6), st.none() | st.floats(0.6, 1.1))


@settings(max_examples=150, deadline=None)
@given(
    layer=st.sampled_from([None, "*", "features.*", "stem", "*.1?", "[fs]*e*"]),
    color=_RANGES,
    class_=_RANGES,
    hue=st.none() | st.tuples(st.none() | st.integers(-180, 0), st.none() | st.integers(0, 180)),
    sort=st.sampled_from(
        [None, "color_selectivity", "class_selectivity", "hue", "a_max", "n", "dead", "label", "channel"]
    ),
    limit=st.none() | st.integers(1, 200),
)
def test_find_is_a_plain_filter_and_sort(
    index: Index, layer: str | None, color: Any, class_: Any, hue: Any, sort: str | None, limit: int | None
) -> None:
    found = index.find(layer, color, class_, ranges={"hue": hue} if hue else None, sort=sort, limit=limit)
    ranges = {"color_selectivity": color, "class_selectivity": class_, "hue": hue}
    given_ranges = {column: bounds for column, bounds in ranges.items() if bounds is not None}
    by = sort or next(iter(given_ranges), "color_selectivity")
    assert found.to_pylist() == _plain(index.neurons.to_pylist(), layer, given_ranges, by, limit)


def test_ascending_and_by_layer(index: Index) -> None:
    smallest = index.find(sort="a_max", direction="ascending", limit=1).to_pylist()[0]["a_max"]
    assert smallest == min(row["a_max"] for row in index.neurons.to_pylist() if row["a_max"] is not None)
    by_layer = index.find(sort="layer")
    assert by_layer["layer_depth"].to_pylist() == index.neurons["layer_depth"].to_pylist()


def test_bounds_are_inclusive_in_single_precision_too() -> None:
    table = pa.table(
        {
            "layer": pa.array(["a", "a", "a"]).dictionary_encode(),
            "layer_depth": pa.array([0, 0, 0], pa.int32()),
            "channel": pa.array([0, 1, 2], pa.int32()),
            "x": pa.array([0.3, math.nan, None], pa.float32()),
        }
    )
    for bounds in [(0.3, None), (None, 0.3), (0.3, 0.3)]:
        assert find_neurons(table, ranges={"x": bounds}, sort="x")["channel"].to_pylist() == [0]
    assert find_neurons(table, sort="x", direction="ascending")["channel"].to_pylist() == [0, 1, 2]
    assert find_neurons(table, ranges={"channel": (0.5, 1.5)}, sort="x")["channel"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("conditions", "line"),
    [
        ({"layer": "featurs.*"}, "no layer 'featurs.*' in this index; did you mean features.?"),
        ({"sort": "color_selectivty"}, "no column 'color_selectivty' in this index; did you mean color_selectivity?"),
        ({"ranges": {"nothing": (0, 1)}}, "no column 'nothing' in this index"),
        ({"ranges": {"label": (0, 1)}}, "column label is not numeric"),
        ({"sort": "classes"}, "column classes holds list"),
        ({"color": (0.5, 0.2)}, "the range 0.5..0.2 of color_selectivity is empty"),
        ({"limit": 0}, "a limit of 0 shows nothing"),
    ],
)
def test_impossible_conditions_are_one_line(index: Index, conditions: dict[str, Any], line: str) -> None:
    with pytest.raises(RayselError) as raised:
        index.find(**conditions)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def test_no_neuron_meets_the_conditions(index: Index) -> None:
    found = index.find(color=(2.0, None))
    assert found.num_rows == 0
    assert found.schema == index.neurons.schema
