"""Routes of what pages load: assets, features, sheets, images of the source, and columns."""

from __future__ import annotations

import hashlib
import io
import mimetypes

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from raysel.explorer.catalog import Catalog
from raysel.explorer.column_data import column_json, table_json
from raysel.explorer.links import assets
from raysel.explorer.routes.answers import answering, kept_by_browsers, links_of, neuron_of
from raysel.explorer.source_pictures import source_picture
from raysel.report import draw_portrait

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def picture_routes(catalog: Catalog) -> APIRouter:
    """The routes over the indexes of a catalog."""
    router = APIRouter()

    @router.get("/assets/{name:path}")
    def asset(name: str, request: Request) -> Response:
        content = assets().get(name)
        if content is None:
            raise HTTPException(404)
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        suffix = name[name.rfind(".") :]
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain"
        return Response(content, media_type=kind, headers=headers)

    @router.get("/i/{index}/feature/{address:path}")
    def feature(index: str, address: str) -> Response:
        served = catalog.get(index)
        neuron = neuron_of(served, address)
        picture = served.pictures.feature(neuron.layer, neuron.channel)
        if picture is None:
            raise HTTPException(404)
        return kept_by_browsers(picture, "image/webp")

    @router.get("/i/{index}/sheet/{address:path}")
    def sheet(index: str, address: str) -> Response:
        served = catalog.get(index)
        neuron = neuron_of(served, address)
        found = served.pictures.sheet(neuron.layer, neuron.channel)
        if found is None:
            raise HTTPException(404)
        return kept_by_browsers(found.picture, "image/jpeg")

    @router.get("/i/{index}/portrait/{address:path}")
    def portrait(index: str, address: str) -> Response:
        neuron = neuron_of(catalog.get(index), address)
        if neuron.row["dead"]:
            raise HTTPException(404)
        file = io.BytesIO()
        draw_portrait(neuron).save(file, "PNG")
        name = "".join(each if each.isalnum() or each in "._-" else "-" for each in neuron.address)
        headers = {"content-disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}.png"'}
        return Response(file.getvalue(), media_type="image/png", headers=headers)

    @router.get("/i/{index}/source/{rank}/{address:path}")
    def source(index: str, rank: int, address: str) -> Response:
        served = catalog.get(index)
        return kept_by_browsers(source_picture(served, neuron_of(served, address), rank).jpeg, "image/jpeg")

    @router.get("/i/{index}/columns/{name:path}")
    def column(index: str, name: str, request: Request) -> Response:
        served = catalog.get(index)
        links = links_of(request, served)
        if name == "neurons":
            content = served.kept((links.root, name), lambda: table_json(served.index, links).encode())
        else:
            with answering():
                content = served.kept(("column", name), lambda: column_json(served.index, name).encode())
        return kept_by_browsers(content, "application/json")

    return router
