"""The gallery: neurons that answer a question, some at a time. The state of the page is the question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from raysel.errors import RayselError
from raysel.explorer.column_data import described
from raysel.explorer.views.tiles import Tile, tiles
from raysel.query import Direction, Question, find
from raysel.store import Index

PAGE_SIZE = 60
MOST_ROWS = 1_000
_FIRST_SORTS = ("color_selectivity", "class_selectivity", "class_excess", "sharpness", "n", "a_max", "layer")


@dataclass(frozen=True)
class GalleryState:
    """What the address of the gallery says, and nothing else does."""

    q: str = ""
    """Words, such as ``red mushroom``."""
    layer: str = ""
    """Glob over layer names."""
    where: str = ""
    """Condition, such as ``color_selectivity > 0.5``."""
    sort: str = ""
    """Column to sort by; by default the best match of the words, else color selectivity."""
    direction: str = ""
    neurons: str = ""
    """Addresses, separated by commas."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> GalleryState:
        """The state that a query string names; its other parameters are left out."""
        return cls(**{field.name: query.get(field.name, "").strip() for field in fields(cls)})

    def query(self) -> dict[str, str]:
        """The parameters that are not empty."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name))}

    def question(self, limit: int | None, offset: int = 0) -> Question:
        """The question that this state asks.

        Raises:
            RayselError: the direction is neither ascending nor descending.
        """
        known: tuple[str, ...] = get_args(Direction)
        if self.direction and self.direction not in known:
            raise RayselError(f"direction {self.direction!r} is unknown: write ascending or descending")
        direction: Direction | None = self.direction or None  # type: ignore[assignment]
        return Question(
            words=self.q,
            layer=self.layer or None,
            where=self.where,
            neurons=addresses(self.neurons),
            sort=self.sort or None,
            direction=direction,
            limit=limit,
            offset=offset,
        )


def addresses(text: str) -> tuple[str, ...]:
    """The neurons of a list such as ``conv4:17,conv5:3``, without repetition."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


@dataclass(frozen=True)
class Results:
    """Some of the neurons that answer the question."""

    tiles: list[Tile]
    total: int
    understood: str
    """How the words were read."""
    next_offset: int | None
    """Where the next part begins; None after the last one."""


def results(index: Index, state: GalleryState, offset: int = 0) -> Results:
    """The part of the answer that begins at `offset`.

    Raises:
        RayselError: the question cannot be answered: an unknown word, column or layer, or a condition with bad syntax.
    """
    found = find(index, state.question(PAGE_SIZE, offset))
    end = offset + len(found.table)
    return Results(tiles(index, found.table), found.total, found.understood, end if end < found.total else None)


def choices(index: Index) -> dict[str, Any]:
    """What the form of the gallery offers: layers, columns to sort by, columns with their descriptions, and words."""
    known = list(described(index))
    names = [name for name, _, _ in known]
    first = [name for name in _FIRST_SORTS if name in names]
    rest = sorted(name for name in names if name not in first)
    words = sorted({name.partition(",")[0] for name in index.class_names.values()})
    return {"layers": index.layers, "first_sorts": first, "other_sorts": rest, "columns": known, "words": words}
