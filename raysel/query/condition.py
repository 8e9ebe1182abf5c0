"""Conditions on the columns of a table, written as in SQL: ``color_selectivity > 0.5 and label in ('n01', 'n02')``.

A library parses the text into a syntax tree. A small set of its nodes becomes an expression of Arrow; every other node
is an error. Nothing of the text is ever executed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.errors import ParseError, SqlglotError

from raysel.errors import RayselError
from raysel.query.columns import column_type, is_number, without_values

MAX_LENGTH = 4_000
"""Characters of a condition. The parser and the expression are recursive."""

_SUPPORTED = "use =, <>, <, <=, >, >=, in, between, like, is null, and, or, not"
_PARTS = ("this", "expression", "expressions", "low", "high", "table", "db", "negate")
Compare = Callable[[pc.Expression, pc.Expression], pc.Expression]
_COMPARISONS: dict[type[exp.Expr], Compare] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A condition on the columns of a table. As in SQL, a comparison with null is neither true nor false."""

    expression: pc.Expression
    columns: dict[str, pa.DataType]
    """The columns it is about, in order, and their types; a part of a column is written ``color_names.red``."""

    def rows(self, table: pa.Table) -> NDArray[np.int64]:
        """The rows of the table for which the condition is true, ascending."""
        names = {name.partition(".")[0]: None for name in self.columns}
        numbered = table.select(list(names)).append_column(_ROW, pa.array(np.arange(len(table))))
        return numbered.filter(self.expression)[_ROW].to_numpy()


_ROW = "number of the row"


def parse_condition(text: str, schema: pa.Schema) -> Condition:
    """Parse a condition on columns of `schema`.

    Comparisons ``= <> < <= > >=``, ``between``, ``in``, ``like`` and ``ilike`` (``%`` is any text, ``_`` any
    character), ``is null``, ``and``, ``or``, ``not``, columns, parts of columns (``color_names.red``), numbers,
    ``'text'``, ``true`` and ``false``. A number gets the precision of the column: ``a_max = 0.3`` is true where a
    float32 column shows 0.3.

    Raises:
        RayselError: the text is not such a condition, or a column is unknown; the message names the part.
    """
    if len(text) > MAX_LENGTH:
        raise RayselError(f"the condition has {len(text)} characters: {MAX_LENGTH} are the most")
    try:
        translation = _Translation(schema)
        expression = translation.condition(parse_one(text, into=exp.Condition, error_level=ErrorLevel.IMMEDIATE))
        return Condition(expression, translation.columns)
    except RecursionError:
        raise RayselError("the condition is nested too deeply") from None
    except SqlglotError as error:
        raise RayselError(f"cannot read the condition {text!r}{_place(error)}") from None


def _place(error: SqlglotError) -> str:
    if isinstance(error, ParseError) and error.errors:
        return f" at {error.errors[0]['highlight']!r} (character {error.errors[0]['col']})"
    return ": is a quote not closed?" if "'" in str(error) else ""


@dataclass
class _Translation:
    schema: pa.Schema
    columns: dict[str, pa.DataType] = field(default_factory=dict)

    def condition(self, node: exp.Expr) -> pc.Expression:
        """An expression whose values are true, false and null."""
        if any(value for name, value in node.args.items() if name not in _PARTS):
            raise _unsupported(node)  # a variant of the node, which would otherwise mean something else
        if node.args.get("negate"):
            return ~self.condition(_without_negation(node))
        if isinstance(node, exp.Paren):
            return self.condition(node.this)
        if isinstance(node, exp.And):
            return self.condition(node.this) & self.condition(node.expression)
        if isinstance(node, exp.Or):
            return self.condition(node.this) | self.condition(node.expression)
        if isinstance(node, exp.Not):
            return ~self.condition(node.this)
        if type(node) in _COMPARISONS:
            return self._comparison(node)
        if isinstance(node, exp.Between):
            values, (least, most) = self._column(node.this), (node.args["low"], node.args["high"])
            return values.compared(operator.ge, least) & values.compared(operator.le, most)
        if isinstance(node, exp.In) and node.expressions:
            values = self._column(node.this)
            # Not `isin`, which is false for null: `not in` would then be true.
            return reduce(operator.or_, [values.compared(operator.eq, each) for each in node.expressions])
        if isinstance(node, exp.Like | exp.ILike):
            return self._like(node)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return self._column(node.this, any_type=True).expression.is_null()
        if isinstance(node, exp.Column):
            values = self._column(node)
            if pa.types.is_boolean(values.kind):
                return values.expression
            raise RayselError(f"in the condition, {values.name} alone is neither true nor false: compare it")
        raise _unsupported(node)

    def _comparison(self, node: exp.Expr) -> pc.Expression:
        compare = _COMPARISONS[type(node)]
        left, right = _plain(node.this), _plain(node.expression)
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            both = self._column(left), self._column(right, as_text=True)
            if both[0].family != both[1].family:
                raise RayselError(f"in the condition, {node.sql()} compares {both[0].family} with {both[1].family}")
            one, other = (values.widened() if values.family == "numbers" else values.expression for values in both)
            return compare(one, other)
        if isinstance(left, exp.Column):
            return self._column(left).compared(compare, right)
        if isinstance(right, exp.Column):
            return self._column(right).compared(lambda column, literal: compare(literal, column), left)
        raise _unsupported(next((side for side in (left, right) if not _is_literal(side)), node))

    def _like(self, node: exp.Expr) -> pc.Expression:
        values, pattern = self._column(node.this), node.expression
        if values.family != "text" or not (isinstance(pattern, exp.Literal) and pattern.is_string):
            raise RayselError(f"in the condition, {node.sql()} has no text: write label like 'n01%'")
        return pc.match_like(values.expression, pattern.this, ignore_case=isinstance(node, exp.ILike))

    def _column(self, node: exp.Expr, any_type: bool = False, as_text: bool = False) -> _Values:
        node = _plain(node)
        if not isinstance(node, exp.Column):
            raise _unsupported(node)
        name = ".".join(part.name for part in node.parts)
        path = name.split(".", 1)
        try:
            kind = column_type(name, self.schema)
        except RayselError as error:
            hint = f"no column {name!r} in this index; if it is text, write it in single quotes: '{name}'"
            raise RayselError(hint) if as_text else error from None
        values = _Values(name, kind, pc.field(*path) if len(path) > 1 else pc.field(name))
        if values.family is None and not any_type:
            raise RayselError(without_values(name, kind))
        self.columns.setdefault(name, kind)
        return values


class _Values:
    """A column in a condition."""

    def __init__(self, name: str, kind: pa.DataType, expression: pc.Expression) -> None:
        self.name = name
        self.kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        self.expression = expression.cast(self.kind) if pa.types.is_dictionary(kind) else expression

    @property
    def family(self) -> str | None:
        """``numbers``, ``text`` or ``true and false``; None for other types."""
        if is_number(self.kind):
            return "numbers"
        if pa.types.is_string(self.kind):
            return "text"
        return "true and false" if pa.types.is_boolean(self.kind) else None

    def widened(self) -> pc.Expression:
        """As float64, for a comparison with other types of numbers."""
        return self.expression.cast(pa.float64(), safe=False)

    def compared(self, compare: Compare, node: exp.Expr) -> pc.Expression:
        """The comparison of the column with a literal, in the column's precision."""
        value = self._value(_plain(node))
        if isinstance(value, str | bool):
            return compare(self.expression, pc.scalar(value))
        if pa.types.is_floating(self.kind):
            return compare(self.expression, pc.scalar(pa.scalar(float(value), self.kind)))
        if isinstance(value, int) and abs(value) < 2**63:
            return compare(self.expression, pc.scalar(value))
        return compare(self.widened(), pc.scalar(float(value)))

    def _value(self, node: exp.Expr) -> str | bool | int | float:
        if isinstance(node, exp.Column):
            advice = "compare one column with another by =, <>, <, <=, > or >=, and write text in single quotes"
            raise RayselError(f"in the condition, {node.sql()} is not a value: {advice}")
        if isinstance(node, exp.Null):
            raise RayselError(f"in the condition, nothing equals null: write {self.name} is null")
        if not _is_literal(node):
            raise _unsupported(node)
        value = _value(node)
        family = "true and false" if isinstance(value, bool) else "text" if isinstance(value, str) else "numbers"
        if family != self.family:
            remedies = {
                "numbers": "write numbers without quotes",
                "text": "write text in single quotes",
                "true and false": f"write {self.name} or not {self.name}",
            }
            fault = f"column {self.name} holds {self.family}: it cannot be compared with {node.sql()}"
            raise RayselError(f"{fault}; {remedies[str(self.family)]}")
        return value


def _value(node: exp.Expr) -> str | bool | int | float:
    if isinstance(node, exp.Neg):
        return -float(node.this.this) if not node.this.this.isdecimal() else -int(node.this.this)
    if isinstance(node, exp.Boolean):
        return node.this
    if node.is_string:
        return node.this
    return int(node.this) if re.fullmatch(r"\d{1,30}", node.this) else float(node.this)


def _is_literal(node: exp.Expr) -> bool:
    if isinstance(node, exp.Neg):
        return isinstance(node.this, exp.Literal) and not node.this.is_string
    return isinstance(node, exp.Literal | exp.Boolean)


def _without_negation(node: exp.Expr) -> exp.Expr:
    """``label like 'n01%'`` of ``label not like 'n01%'``."""
    positive = node.copy()
    positive.set("negate", None)
    return positive


def _plain(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _unsupported(node: exp.Expr) -> RayselError:
    return RayselError(f"in the condition, {' '.join(node.sql().split())} is not supported: {_SUPPORTED}")
