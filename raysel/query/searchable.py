"""An open index that answers questions: what ``raysel.open`` returns."""

from __future__ import annotations

import os
from collections.abc import Sequence

from raysel.query.comparison import diff
from raysel.query.explanation import Explanation, explain
from raysel.query.finding import find
from raysel.query.notebook import PicturedNeuron
from raysel.query.profiles.similarity import By, similar
from raysel.query.question import Direction, Found, NeuronTable, Question
from raysel.query.selection import in_layers, layers_matching, meeting, ordered, window
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
        """The neurons most similar to one, such as ``conv4:17``; arguments and errors as of `similar`."""
        return NeuronTable(similar(self, *neuron_address(neuron), by, limit, within), self)

    def explain(
        self,
        image: int | str | os.PathLike[str],
        *,
        layer: str | None = None,
        limit: int | None = 20,
        images: str | None = None,
        weights: str | None = None,
    ) -> Explanation:
        """The neurons that an image activates most; arguments and errors as of `explain`."""
        return explain(self, image, layer, limit, images=images, weights=weights)

    def diff(
        self,
        other: Index,
        *,
        layer: str | None = None,
        where: str = "",
        sort: str = "layer",
        direction: Direction | None = None,
        limit: int | None = None,
    ) -> NeuronTable:
        """How the neurons of another index differ from those of this one: columns as of `diff`.

        Args:
            other: another open index.
            layer: glob over layer names.
            where: condition on the columns: ``color_selectivity_change > 0.2 or image_overlap < 0.1``.
            sort: column to sort by.
            direction: by default numbers descend and text ascends.
            limit: maximum number of neurons, at least 1.
        """
        table = diff(self, other)
        chosen = in_layers(table, layers_matching(self.layers, layer or "*"))
        if where.strip():
            chosen &= meeting(table, where)[0]
        return NeuronTable(table.take(window(ordered(table, chosen, sort, direction), limit)), self)

    def neuron(self, layer: str, channel: int) -> PicturedNeuron:
        """One neuron, which a notebook shows; errors as of `Index.neuron`."""
        return PicturedNeuron(self, super().neuron(layer, channel).row)


def open_searchable(uri: str | os.PathLike[str]) -> SearchableIndex:
    """Open the index in a local folder or at a URI such as ``s3://bucket/index``, to search it.

    Reads the manifest. Tables are read on first use, and only as much of them as an answer needs.

    Raises:
        RayselError: there is no index, or it is unfinished, has another format or cannot be reached.
    """
    opened = open_index(uri)
    return SearchableIndex(opened.folder, opened.manifest)
