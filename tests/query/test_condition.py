"""Conditions against their meaning in SQL, evaluated row by row in Python."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.errors import RayselError
from raysel.query.condition import MAX_LENGTH, parse_condition

Row = dict[str, Any]
Truth = bool | None
Meaning = Callable[[Row], Truth]

SINGLE = [0.1, 0.3, None, math.nan, -0.3, 2.5, 0.0, 0.30000001192092896]
WHOLE = [3, None, -1, 0, 7, 2**31 - 1, -(2**31), 3]
DOUBLE = [0.3, 0.1 + 0.2, None, -180.0, 1e-9, 5.0, math.nan, 0.3]
TEXT = ["n01", "it's", None, "n02", "", "50%", "N01", "a_b"]
FLAG = [True, False, None, True, False, None, True, False]
RED = [0.5, 0.25, None, 0.0, 1.0, 0.5, 0.75, 0.1]
TABLE = pa.table(
    {
        "single": pa.array(SINGLE, pa.float32()),
        "whole": pa.array(WHOLE, pa.int32()),
        "double": pa.array(DOUBLE, pa.float64()),
        "text": pa.array(TEXT, pa.string()).dictionary_encode(),
        "flag": pa.array(FLAG, pa.bool_()),
        "shares": pa.array([None if red is None else {"red": red, "blue": 1 - red} for red in RED]),
        "listed": pa.array([[1], None, [], [2], [3], None, [4], [5]], pa.list_(pa.int32())),
    }
)
ROWS: list[Row] = [
    {**row, "shares.red": None if row["shares"] is None else row["shares"]["red"]} for row in TABLE.to_pylist()
]


def chosen(text: str) -> list[int]:
    return parse_condition(text, TABLE.schema).rows(TABLE).tolist()


def compared(left: Any, sign: str, right: Any) -> Truth:
    """A comparison of SQL: null if a side is null; NaN compares as in IEEE 754."""
    if left is None or right is None:
        return None
    return {
        "=": left == right,
        "<>": left != right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[sign]


def both(left: Truth, right: Truth) -> Truth:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def negated(value: Truth) -> Truth:
    return None if value is None else not value


def either(left: Truth, right: Truth) -> Truth:
    return negated(both(negated(left), negated(right)))


def in_precision(column: str, value: float) -> float:
    return float(np.float32(value)) if column == "single" else value


SIGNS = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])
NUMBERS = st.sampled_from([0.3, 0.1, -0.3, 0, 3, -1, 2.5, 0.5, 7.25, -180, 1e-9, 2**31 - 1, 10**25])
TEXTS = st.sampled_from(["n01", "it's", "", "50%", "zzz", "a_b"])
NUMERIC = st.sampled_from(["single", "whole", "double", "shares.red"])


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@st.composite
def leaves(draw: st.DrawFn) -> tuple[str, Meaning]:
    """A condition without and, or, not: its text, and what it means."""
    kinds = ["number", "mirrored", "text", "columns", "between", "in", "in text", "like", "null", "flag"]
    kind = draw(st.sampled_from(kinds))
    column, sign, value = draw(NUMERIC), draw(SIGNS), draw(NUMBERS)
    bound = in_precision(column, value)
    if kind == "number":
        return f"{column} {sign} {value}", lambda row: compared(row[column], sign, bound)
    if kind == "mirrored":
        return f"{value} {sign} {column}", lambda row: compared(bound, sign, row[column])
    if kind == "text":
        text = draw(TEXTS)
        return f"text {sign} {quoted(text)}", lambda row: compared(row["text"], sign, text)
    if kind == "columns":
        other = draw(NUMERIC)
        return f"{column} {sign} {other}", lambda row: compared(row[column], sign, row[other])
    if kind == "between":
        most = draw(NUMBERS)
        last = in_precision(column, most)
        return f"{column} between {value} and {most}", lambda row: both(
            compared(row[column], ">=", bound), compared(row[column], "<=", last)
        )
    if kind == "in":
        values = draw(st.lists(NUMBERS, min_size=1, max_size=3))
        listed = ", ".join(map(str, values))

        def any_of(row: Row) -> Truth:
            found: Truth = False
            for each in values:
                found = either(found, compared(row[column], "=", in_precision(column, each)))
            return found

        return f"{column} in ({listed})", any_of
    if kind == "in text":
        texts = draw(st.lists(TEXTS, min_size=1, max_size=3))
        listed = ", ".join(map(quoted, texts))
        return f"text in ({listed})", lambda row: None if row["text"] is None else row["text"] in texts
    if kind == "like":
        pattern, negation = draw(st.sampled_from(["%", "n%", "%0%", "a_b", "_01", "50%", ""])), draw(st.booleans())
        parts = {"%": ".*", "_": "."}
        regex = "".join(parts.get(letter, re.escape(letter)) for letter in pattern)

        def alike(row: Row) -> Truth:
            truth = None if row["text"] is None else re.fullmatch(regex, row["text"], re.DOTALL) is not None
            return negated(truth) if negation else truth

        return f"text {'not ' * negation}like {quoted(pattern)}", alike
    if kind == "null":
        name = draw(st.sampled_from(["single", "whole", "text", "flag", "shares", "shares.red", "listed"]))
        return f"{name} is null", lambda row: row[name] is None
    wanted = draw(st.booleans())
    return draw(
        st.sampled_from(
            [
                ("flag", lambda row: row["flag"]),
                (f"flag = {str(wanted).lower()}", lambda row: compared(row["flag"], "=", wanted)),
            ]
        )
    )


def combined(inner: st.SearchStrategy[tuple[str, Meaning]]) -> st.SearchStrategy[tuple[str, Meaning]]:
    return st.one_of(
        inner.map(lambda one: (f"not ({one[0]})", lambda row: negated(one[1](row)))),
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) and ({two[1][0]})", lambda row: both(two[0][1](row), two[1][1](row)))
        ),
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) OR ({two[1][0]})", lambda row: either(two[0][1](row), two[1][1](row)))
        ),
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(leaves(), combined, max_leaves=6))
def test_a_condition_means_what_it_means_in_sql(condition: tuple[str, Meaning]) -> None:
    text, meaning = condition
    assert chosen(text) == [number for number, row in enumerate(ROWS) if meaning(row) is True]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("single = 0.3", [1, 7]),  # float32: as the column shows it
        ("double = 0.3", [0, 7]),  # 0.1 + 0.2 is another number
        ("single between 0.3 and 0.3", [1, 7]),
        ("whole > 0.5", [0, 4, 5, 7]),
        ("single > -0.5 and whole >= 3 or flag", [0, 3, 4, 5, 6, 7]),  # `and` binds closer than `or`
        ("not flag and text <> 'n02'", [1, 4, 7]),
        ("whole not in (3, 7)", [2, 3, 5, 6]),
        ("text like 'n0%'", [0, 3]),
        ("text ilike 'n0_'", [0, 3, 6]),
        ("text not like '%0%'", [1, 4, 7]),
        ("text not ilike 'n0_'", [1, 4, 5, 7]),
        ("text not like 'n01' or text not like 'n02'", [0, 1, 3, 4, 5, 6, 7]),
        ("whole not between 0 and 7", [2, 5, 6]),
        ("text = 'it''s'", [1]),
        ("text is not null and not text = ''", [0, 1, 3, 5, 6, 7]),
        ("((whole)) = (3)", [0, 7]),
        ("whole == 3", [0, 7]),
        ('"whole" = 3', [0, 7]),
        ("single <= whole", [0, 4, 5, 7]),
        ("text < 'b' -- a comment", [4, 5, 6, 7]),
        ("flag = flag", [0, 1, 3, 4, 6, 7]),
    ],
)
def test_known_answers(text: str, rows: list[int]) -> None:
    assert chosen(text) == rows


def test_the_columns_of_a_condition_are_known_in_order() -> None:
    condition = parse_condition("shares.red > 0.5 or (not flag and single < shares.red) and text is null", TABLE.schema)
    assert list(condition.columns) == ["shares.red", "flag", "single", "text"]
    assert condition.columns["single"] == pa.float32()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("singel > 0.5", "no column 'singel' in this index; did you mean single?"),
        ("shares.rde > 0.5", "no column 'shares.rde' in this index; did you mean shares.red"),
        ("a.b.c = 1", "no column 'a.b.c' in this index"),
        ("text = n01", "no column 'n01' in this index; if it is text, write it in single quotes"),
        ('text = "n01"', "no column 'n01' in this index"),
        ("lower(text) = 'n01'", "in the condition, LOWER(text) is not supported: use =, <>"),
        ("single + 1 > 2", "in the condition, single + 1 is not supported"),
        ("single > (select 1)", "in the condition, (SELECT 1) is not supported"),
        ("whole in (select 1)", "in the condition, whole IN (SELECT 1) is not supported"),
        ("whole in ()", "in the condition, whole IN () is not supported"),
        ("whole between symmetric 7 and 0", "in the condition, (whole BETWEEN 7 AND 0"),
        ("text like 'n' escape '!'", "in the condition, text LIKE 'n' ESCAPE '!' is not supported"),
        ("text like any ('n', 'm')", "in the condition, text LIKE ANY"),
        ("1 = 1", "in the condition, 1 = 1 is not supported"),
        ("true", "in the condition, TRUE is not supported"),
        ("single < double < whole", "in the condition, single < double is not supported"),
        ("case when flag then flag end", "in the condition, CASE WHEN flag THEN flag END is not supported"),
        ("exists(select 1)", "in the condition, EXISTS(SELECT 1) is not supported"),
        ("text rlike 'n.*'", "in the condition, REGEXP_LIKE(text, 'n.*') is not supported"),
        ("single = ?", "in the condition, ? is not supported"),
        ("single = null", "in the condition, nothing equals null: write single is null"),
        ("whole in (1, null)", "in the condition, nothing equals null: write whole is null"),
        ("whole in (1, double)", "in the condition, double is not a value"),
        ("single", "in the condition, single alone is neither true nor false: compare it"),
        ("not text", "in the condition, text alone is neither true nor false"),
        ("single = 'n01'", "column single holds numbers: it cannot be compared with 'n01'"),
        ("text = 3", "column text holds text: it cannot be compared with 3"),
        ("single = true", "column single holds numbers: it cannot be compared with TRUE"),
        ("flag > 0", "column flag holds true and false: it cannot be compared with 0; write flag or not flag"),
        ("single = text", "in the condition, single = text compares numbers with text"),
        ("listed = 3", "column listed is a list: take one of numbers or text"),
        ("shares > 3", "column shares has parts: write one of them, such as shares.red"),
        ("whole like '3%'", "in the condition, whole LIKE '3%' has no text: write label like 'n01%'"),
        ("text like single", "in the condition, text LIKE single has no text"),
        ("single >", "cannot read the condition 'single >' at '>' (character 8)"),
        ("single > 1; drop table neurons", "cannot read the condition"),
        ("single > 1 and", "cannot read the condition"),
        ("(single > 1", "cannot read the condition"),
        ("text = 'n01", 'cannot read the condition "text = \'n01": is a quote not closed?'),
        ("single=0.5..", "cannot read the condition"),
        ("select * from neurons", "cannot read the condition"),
        ("", "cannot read the condition"),
        ("single > 1 " * 1000, "the condition has 11000 characters"),
    ],
)
def test_other_text_is_one_line(text: str, line: str) -> None:
    with pytest.raises(RayselError) as raised:
        parse_condition(text, TABLE.schema)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_text_without_quotes_is_explained() -> None:
    with pytest.raises(RayselError, match=r"write it in single quotes: 'n01'$"):
        parse_condition("text = n01", TABLE.schema)


@pytest.mark.parametrize(
    "nested", ["(" * 1900 + "flag" + ")" * 1900, "not " * 900 + "flag", "flag and " * 400 + "flag"]
)
def test_deep_nesting_is_an_answer_or_one_line(nested: str) -> None:
    assert len(nested) <= MAX_LENGTH
    found, line = answer(nested)
    assert found == chosen("flag") or "nested too deeply" in line


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(
            [
                "single",
                "text",
                "(",
                ")",
                "and",
                "not",
                "in",
                "like",
                "=",
                ">",
                "'",
                "3",
                ",",
                "null",
                "is",
                ".",
                "*",
                "--",
                ";",
                "case",
                "::",
            ]
        ),
        max_size=12,
    ).map(" ".join)
)
def test_any_text_is_a_condition_or_one_line(text: str) -> None:
    rows, line = answer(text)
    assert set(rows or ()) <= set(range(len(ROWS)))
    assert "\n" not in line.replace(repr(text), "")


def answer(text: str) -> tuple[list[int] | None, str]:
    """The rows, or the line of the error."""
    try:
        return chosen(text), ""
    except RayselError as error:
        return None, str(error)
