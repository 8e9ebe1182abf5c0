"""Routes of the pages."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated, Any, get_args

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from raysel.errors import RayselError
from raysel.explorer.catalog import Catalog, Served
from raysel.explorer.links import ServerLinks
from raysel.explorer.rendering import render
from raysel.explorer.routes.answers import BadQuestionError, answering, links_of, neuron_of
from raysel.explorer.source_pictures import ranked, source_picture
from raysel.explorer.views.comparison_view import comparison_view
from raysel.explorer.views.gallery_view import GalleryState, choices, results
from raysel.explorer.views.list_view import list_view
from raysel.explorer.views.network_view import network_view
from raysel.explorer.views.neuron_view import neuron_view
from raysel.explorer.views.tiles import tiles
from raysel.query import By, diff, similar

_SIMILAR = 12
Threshold = Annotated[float | None, Query(ge=0, le=1)]
ClassThreshold = Annotated[float | None, Query(alias="class", ge=0, le=1)]
_BY: tuple[str, ...] = get_args(By)


def page_routes(catalog: Catalog) -> APIRouter:
    """The pages over the indexes of a catalog."""
    router = APIRouter(default_response_class=HTMLResponse)

    def shown(template: str, request: Request, served: Served, **more: Any) -> str:
        links = links_of(request, served)
        return render(template, links, indexes=list(catalog.places), **more)

    def other_than(first: Served) -> Served | None:
        """Another index, if possible of the same layers."""
        others = [served for served in catalog.all() if served is not first]
        alike = (served for served in others if not set(first.index.layers).isdisjoint(served.index.layers))
        return next(alike, others[0] if others else None)

    def kept(request: Request, served: Served, make: Callable[[], str], *more: object) -> HTMLResponse:
        """A page that depends on its path, the index and `more` alone."""
        key = ("page", request.scope.get("root_path", ""), request.url.path, *more)
        return HTMLResponse(served.kept(key, lambda: make().encode()))

    @router.get("/")
    def catalog_page(request: Request) -> Response:
        links = ServerLinks(request.scope.get("root_path", ""), "", "")
        every = catalog.all()
        if len(every) == 1:
            return RedirectResponse(links_of(request, every[0]).page("network"), 307)
        pairs = [(served, links_of(request, served)) for served in every]
        return HTMLResponse(render("catalog", links, served=pairs, indexes=list(catalog.places)))

    @router.get("/docs")
    def docs_page(request: Request) -> str:
        links = ServerLinks(request.scope.get("root_path", ""), "", "")
        return render("docs", links, api=request.app.openapi(), indexes=list(catalog.places))

    @router.get("/compare")
    def compare_page(
        request: Request, a: str, b: str = "", color: Threshold = None, class_: ClassThreshold = None
    ) -> Response:
        first = catalog.get(a)
        second = catalog.get(b) if b else other_than(first)
        if second is None:
            return HTMLResponse(shown("compare", request, first, first=first, second=None, view=None, problem=""))

        def compared() -> str:
            with answering(), first.heavy:
                view = comparison_view(diff(first.index, second.index), color, class_)
            more = {"view": view, "other_links": links_of(request, second), "problem": ""}
            return shown("compare", request, first, first=first, second=second, **more)

        try:
            return kept(request, first, compared, second.name, second.version, color, class_)
        except BadQuestionError as error:  # two networks: the visitor chooses others
            more = {"first": first, "second": second, "view": None, "problem": str(error)}
            return HTMLResponse(shown("compare", request, first, **more), 400)

    @router.get("/i/{index}")
    def without_slash(index: str, request: Request) -> Response:
        return RedirectResponse(links_of(request, catalog.get(index)).page("network"), 307)

    @router.get("/i/{index}/")
    def network_page(index: str, request: Request) -> Response:
        served = catalog.get(index)
        return kept(request, served, lambda: shown("network", request, served, view=network_view(served.index)))

    @router.get("/i/{index}/plane")
    def plane_page(index: str, request: Request) -> str:
        served = catalog.get(index)
        return shown("plane", request, served, choices=choices(served.index))

    @router.get("/i/{index}/gallery")
    def gallery_page(index: str, request: Request, offset: int = 0) -> Response:
        served, state = catalog.get(index), GalleryState.of(request.query_params)
        problem, found = "", None
        try:
            found = results(served.index, state, max(offset, 0))
        except RayselError as error:
            problem = str(error)
        part = "hx-request" in request.headers
        template = ("tiles" if offset else "results") if part else "gallery"
        more = {} if part else {"choices": choices(served.index)}
        html = shown(template, request, served, state=state, results=found, problem=problem, **more)
        return HTMLResponse(html, 400 if problem else 200, {"vary": "HX-Request"})

    @router.get("/i/{index}/list")
    def list_page(index: str, request: Request, neurons: str = "") -> str:
        served = catalog.get(index)
        with answering():
            view = list_view(served.index, neurons)
        return shown("list", request, served, view=view)

    @router.get("/i/{index}/random")
    def random_page(index: str, request: Request) -> Response:
        served = catalog.get(index)
        alive = np.flatnonzero(~served.index.neurons["dead"].to_numpy())
        if not len(alive):
            raise RayselError("every neuron of this index is dead")
        row = served.index.neurons.slice(int(random.choice(alive)), 1).select(["layer", "channel"]).to_pylist()[0]
        links = links_of(request, served)
        return RedirectResponse(links.neuron(f"{row['layer']}:{row['channel']}"), 307, {"cache-control": "no-store"})

    @router.get("/i/{index}/neuron/{address:path}")
    def neuron_page(index: str, address: str, request: Request) -> Response:
        served = catalog.get(index)
        neuron = neuron_of(served, address)
        return kept(
            request,
            served,
            lambda: shown("neuron", request, served, view=neuron_view(served.pictures, neuron), by=_BY),
        )

    @router.get("/i/{index}/similar/{address:path}")
    def similar_part(index: str, address: str, request: Request, by: By = "images") -> Response:
        served = catalog.get(index)
        neuron = neuron_of(served, address)

        def found() -> str:
            try:
                with served.heavy:
                    table = similar(served.index, neuron.layer, neuron.channel, by, _SIMILAR)
            except RayselError as error:
                return shown("similar", request, served, tiles=[], problem=str(error))
            notes = [f"{value:.0%} similar" for value in table["similarity"].to_pylist()]
            return shown("similar", request, served, tiles=tiles(served.index, table, notes), problem="")

        return kept(request, served, found, by)

    @router.get("/i/{index}/crop/{rank}/{address:path}")
    def crop_page(index: str, rank: int, address: str, request: Request) -> str:
        served = catalog.get(index)
        neuron = neuron_of(served, address)
        entry, picture, problem = ranked(neuron, rank), None, ""
        try:
            picture = source_picture(served, neuron, rank)
        except RayselError as error:
            problem = str(error)
        label = served.index.class_names.get(entry["label"], entry["label"])
        more = {"neuron": neuron, "entry": entry, "picture": picture, "problem": problem, "label": label}
        return shown("crop", request, served, last=len(neuron.ranking) - 1, **more)

    return router
