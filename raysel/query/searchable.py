"""An open index that answers questions: what ``raysel.open`` returns."""

from __future__ import annotations

import os
from collections.abc import Sequence

from raysel.query.finding import find
from raysel.query.question import Direction, Found, NeuronTable, Question
from raysel.query.similarity import By, similar
from raysel.store import Index, neuron_address, open_index


class SearchableIndex(Index):
    """An open index with the questions of `raysel.query` as methods."""

    def find(
        self,
        words: str = "",
        *,
        layer: str | None = None,
        where: str = "",
        neurons: Sequence[str] = (),
        sort: str | None = None,
        direction: Direction | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Found:
        """The neurons that match words and meet conditions; arguments and errors as of `Question` and `find`."""
        return find(self, Question(words, layer, where, tuple(neurons), sort, direction, limit, offset))

    def similar(
        self, neuron: str, by: By = "images", *, limit: int | None = 20, within: str | None = None
    ) -> NeuronTable:
        """The neurons most similar to one, by its address such as ``conv4:17``; arguments and errors as of `similar`."""
        return NeuronTable(similar(self, *neuron_address(neuron), by, limit, within), self)


def open_searchable(uri: str | os.PathLike[str]) -> SearchableIndex:
    """Open the index in a local folder or at a URI such as ``s3://bucket/index``, to search it.

    Reads the manifest. Tables are read on first use, and only as much of them as an answer needs.

    Raises:
        RayselError: there is no index, or it is unfinished, has another format or cannot be reached.
    """
    opened = open_index(uri)
    return SearchableIndex(opened.folder, opened.manifest)
