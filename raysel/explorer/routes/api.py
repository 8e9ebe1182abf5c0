"""The JSON API: the same answers as the command line's ``--json``."""

from __future__ import annotations

import csv
import io
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from raysel.explorer.catalog import Catalog
from raysel.explorer.column_data import described
from raysel.explorer.routes.answers import answering, neuron_of
from raysel.explorer.views.gallery_view import MOST_ROWS, GalleryState
from raysel.query import By, diff, find, similar
from raysel.query.neuron_data import neuron_data
from raysel.store import plain_rows


class IndexSummary(BaseModel):
    """One served index."""

    name: str
    network: str
    neurons: int
    layers: list[str]
    images: int
    classes: int
    created: str
    fingerprint: str


class ColumnSummary(BaseModel):
    """One column of the neurons table that can be filtered or sorted by."""

    name: str
    kind: Literal["number", "text"]
    description: str


class FoundNeurons(BaseModel):
    """Neurons that answer a question."""

    total: int
    """Neurons that meet all conditions, before offset and limit."""
    understood: str
    """How the words were read; empty without words."""
    rows: list[dict[str, Any]]
    """Rows of the neurons table, as ``raysel find --json`` prints them."""


Text = Annotated[str, Query(max_length=4_000)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
Offset = Annotated[int, Query(ge=0, le=1 << 40)]


def api_routes(catalog: Catalog) -> APIRouter:
    """The API over the indexes of a catalog."""
    router = APIRouter(prefix="/api", tags=["api"])

    @router.get("/indexes")
    def indexes() -> list[IndexSummary]:
        """The served indexes."""
        found = []
        for served in catalog.all():
            manifest = served.index.manifest
            found.append(
                IndexSummary(
                    name=served.name,
                    network=manifest.network.name,
                    neurons=manifest.counts.neurons,
                    layers=list(served.index.layers),
                    images=manifest.counts.images,
                    classes=manifest.counts.classes,
                    created=manifest.created.isoformat(),
                    fingerprint=manifest.index_fingerprint,
                )
            )
        return found

    @router.get("/i/{index}/columns")
    def columns(index: str) -> list[ColumnSummary]:
        """The columns that conditions and sorting can name."""
        known = described(catalog.get(index).index)
        return [ColumnSummary(name=name, kind=kind, description=text) for name, kind, text in known]  # type: ignore[arg-type]

    @router.get("/i/{index}/neurons", response_model=FoundNeurons)
    def neurons(
        index: str,
        q: Text = "",
        layer: Text = "",
        where: Text = "",
        sort: Text = "",
        direction: Text = "",
        neurons: Annotated[str, Query(max_length=100_000)] = "",
        limit: Limit = 60,
        offset: Offset = 0,
        format: Literal["json", "csv"] = "json",
    ) -> Response:
        """Neurons that match words (`q`) and meet conditions: the rows of `raysel find --json`, some at a time.

        `neurons` names them one by one: `conv4:17,conv5:3`. With `format=csv` the answer is a file with every column.
        """
        served = catalog.get(index)
        state = GalleryState(q, layer, where, sort, direction, neurons)
        with answering():
            found = find(served.index, state.question(limit, offset))
        rows = plain_rows(found.table)
        if format == "csv":
            return _as_csv(found.table.column_names, rows)
        return _as_json({"total": found.total, "understood": found.understood, "rows": rows})

    @router.get("/i/{index}/neurons/{address:path}/similar")
    def similar_neurons(index: str, address: str, by: By = "images", limit: Limit = 20, within: Text = "") -> Response:
        """The neurons most similar to one: their rows, with the column `similarity`."""
        served = catalog.get(index)
        neuron = neuron_of(served, address)
        with answering():
            found = similar(served.index, neuron.layer, neuron.channel, by, limit, within or None)
        return _as_json(plain_rows(found))

    @router.get("/i/{index}/neurons/{address:path}")
    def neuron(index: str, address: str) -> Response:
        """Everything about one neuron, as `raysel show --json` prints it."""
        served = catalog.get(index)
        return _as_json(neuron_data(served.index, neuron_of(served, address)))

    @router.get("/diff")
    def difference(a: Text, b: Text, limit: Limit = MOST_ROWS, offset: Offset = 0) -> Response:
        """Differences of every index between two indexes, a row per neuron that both have."""
        first, second = catalog.get(a), catalog.get(b)
        with answering():
            table = diff(first.index, second.index)
        return _as_json({"total": len(table), "rows": plain_rows(table.slice(offset, limit))})

    return router


def _as_json(value: Any) -> Response:
    return Response(json.dumps(value, ensure_ascii=False, allow_nan=False), media_type="application/json")


def _as_csv(columns: list[str], rows: list[dict[str, Any]]) -> Response:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = (row[column] for column in columns)
        writer.writerow(
            json.dumps(each, ensure_ascii=False) if isinstance(each, list | dict) else each for each in values
        )
    headers = {"content-disposition": 'attachment; filename="neurons.csv"'}
    return Response(file.getvalue(), media_type="text/csv", headers=headers)
