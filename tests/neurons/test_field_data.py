"""Receptive fields as JSON, and back without loss."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from raysel.neurons import AxisField, ReceptiveField, field_data, field_of

SEEN = ((0, 3), (0, -1), (2, 9))
FIELDS = [
    ReceptiveField(AxisField(7, Fraction(4, 3), Fraction(-5, 3), 24, SEEN), AxisField(5, Fraction(2), Fraction(0), 30)),
    ReceptiveField(AxisField(1, Fraction(0), Fraction(3), 8, ()), AxisField.whole(9), "channel gates"),
    ReceptiveField.whole_input((20, 24), "the network cannot be traced"),
]


@pytest.mark.parametrize("field", FIELDS)
def test_nothing_is_lost(field: ReceptiveField) -> None:
    assert field_of(json.loads(json.dumps(field_data(field)))) == field
