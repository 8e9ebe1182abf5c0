"""``raysel find``: which neurons of an index are selective, and to what."""

from __future__ import annotations

import re
import sys
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import FOR_PEOPLE, AnyLimit, Form, IndexPlace, LayerGlob, Where, all_of
from raysel.errors import RayselError
from raysel.query.question import Direction

_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")

RangeText = Annotated[str | None, Parameter(metavar="MIN..MAX", allow_leading_hyphen=True)]


def find(
    index: IndexPlace,
    /,
    *words: Annotated[str, Parameter(name="WORDS")],
    layer: LayerGlob = None,
    color: RangeText = None,
    class_: RangeText = None,
    where: Where = (),
    sort: Annotated[str | None, Parameter(metavar="COLUMN")] = None,
    direction: Direction | None = None,
    limit: AnyLimit = None,
    form: Form = FOR_PEOPLE,
) -> None:
    """List neurons.

    Args:
        words: What the neurons are selective to: colors, classes, concepts such as dog or vehicle, and layers. The best
            matches come first.
        color: Range of color selectivity, such as 0.5.. or 0.2..0.4
        class_: Range of class selectivity.
        where: Condition on any columns, as in SQL, such as "sharpness > 0.5 and color_names.red >= 0.8" or "label in
            ('n01440764', 'n01443537') or concept like '%dog'". Repeat the option to require several.
        sort: Column to sort by. By default how well the words match, else the first index in the conditions, else
            color selectivity.
        direction: By default highest numbers first, and text from A to Z.
    """
    from raysel.cli.neurons import print_neurons
    from raysel.query import open_searchable

    conditions = [
        *parse_range(color, "--color", "color_selectivity"),
        *parse_range(class_, "--class", "class_selectivity"),
        *where,
    ]
    opened = open_searchable(index)
    found = opened.find(
        " ".join(words), layer=layer, where=all_of(conditions), sort=sort, direction=direction, limit=limit
    )
    if found.understood:
        print(found.understood, file=sys.stderr)
    print_neurons(found, form, found.asked, limit)


def parse_range(text: str | None, option: str, column: str) -> list[str]:
    """Conditions on a column from ``MIN..MAX``, ``MIN..`` or ``..MAX``; none if there is no text.

    Raises:
        RayselError: the text is not a range, or the range is empty.
    """
    if text is None:
        return []
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.group(1) is match.group(2) is None:
        raise RayselError(f"{option} {text!r} is not a range: write MIN..MAX, MIN.. or ..MAX, such as 0.2..0.4")
    least, most = (None if bound is None else float(bound) for bound in match.groups())
    if least is not None and most is not None and least > most:
        raise RayselError(f"{option} {text!r} is empty: write the smaller number first")
    bounds = ((">=", least), ("<=", most))
    return [f"{column} {sign} {bound!r}" for sign, bound in bounds if bound is not None]
