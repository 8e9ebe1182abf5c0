"""``raysel diff``: how the neurons of two indexes differ."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import FOR_PEOPLE, AnyLimit, Form, LayerGlob, Where, all_of
from raysel.query.question import Direction


def diff(
    a: Annotated[str, Parameter(name="A")],
    b: Annotated[str, Parameter(name="B")],
    /,
    *,
    layer: LayerGlob = None,
    where: Where = (),
    sort: Annotated[str, Parameter(metavar="COLUMN")] = "image_overlap",
    direction: Direction | None = None,
    limit: AnyLimit = None,
    form: Form = FOR_PEOPLE,
) -> None:
    """List the neurons that both have, with the values of both, those with other images first.

    Args:
        a: Path or URI of an index.
        b: Path or URI of another index of the same layers.
        where: Condition on the columns, such as "color_selectivity_change > 0.2 or image_overlap < 0.1".
        sort: Column to sort by.
        direction: By default image_overlap ascends, and other numbers descend.
    """
    from raysel.cli.neurons import print_neurons
    from raysel.query import open_searchable

    if direction is None and sort == "image_overlap":
        direction = "ascending"
    opened, other = open_searchable(a), open_searchable(b)
    found = opened.diff(other, layer=layer, where=all_of(where), sort=sort, direction=direction, limit=limit)
    print_neurons(found, form, limit=limit, none="no neuron meets all conditions")
