"""The application: pages, pictures and API over some indexes, for any ASGI server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response

from raysel.errors import RayselError
from raysel.explorer.catalog import Catalog, Served, UnknownIndexError, named
from raysel.explorer.guard import HEADERS, HeadIsGet, SafeHeaders, TokenGate
from raysel.explorer.links import ServerLinks
from raysel.explorer.rendering import environment, render
from raysel.explorer.routes.answers import BadQuestionError
from raysel.explorer.routes.api import api_routes
from raysel.explorer.routes.pages import page_routes
from raysel.explorer.routes.picture_routes import picture_routes
from raysel.explorer.views.gallery_view import choices
from raysel.explorer.views.network_view import network_view
from raysel.query import Question, find
from raysel.store import UnknownNeuronError

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_LEAST_GZIP = 1_000


def create_app(
    indexes: Iterable[str],
    *,
    token: str | None = None,
    hosts: Sequence[str] = LOCAL_HOSTS,
    images: str | None = None,
) -> FastAPI:
    """The explorer as an ASGI application. It only reads.

    Args:
        indexes: paths or URIs of indexes, or ``NAME=PLACE``.
        token: visitors must know it; None lets everyone in who reaches the server.
        hosts: names by which the server may be addressed; a request for another host is refused. ``*`` is any.
        images: where the images of the indexes are now, if they were moved.

    Raises:
        RayselError: an index cannot be opened.
    """
    catalog = Catalog(named(indexes), images)
    for served in catalog.all():
        _read_ahead(served)
    app = FastAPI(
        title="raysel",
        summary="Which neurons of a network are selective, and to what. Read only.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.catalog = catalog
    app.include_router(api_routes(catalog))
    app.include_router(picture_routes(catalog), include_in_schema=False)
    app.include_router(page_routes(catalog), include_in_schema=False)
    for kind in (HTTPException, RequestValidationError, RayselError):
        app.add_exception_handler(kind, _problem)
    app.add_exception_handler(Exception, _failure)
    app.add_middleware(GZipMiddleware, minimum_size=_LEAST_GZIP, compresslevel=4)
    app.add_middleware(HeadIsGet)
    if token is not None:
        app.add_middleware(TokenGate, token=token)
    if "*" not in hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(SafeHeaders)
    return app


def _read_ahead(served: Served) -> None:
    """Read what every page needs, before the first visitor asks for it."""
    network_view(served.index)
    choices(served.index)
    with suppress(RayselError):  # an index without color names does not know the word
        find(served.index, Question(words="gray", where="channel >= 0", limit=1))
    for template in environment().list_templates():
        environment().get_template(template)


def _problem(request: Request, error: Exception) -> Response:
    """The reason in one line: as JSON from the API, else as a page."""
    status, reason = _status(error)
    return _answer(request, status, reason, getattr(error, "headers", None))


def _failure(request: Request, _: Exception) -> Response:
    """An error of raysel itself. This answer is made outside of the middleware, which adds headers to the others."""
    return _answer(request, 500, "an error of raysel: the server's log has the details", HEADERS)


def _answer(request: Request, status: int, reason: str, headers: Mapping[str, str] | None) -> Response:
    root = request.scope.get("root_path", "")
    if request.scope["path"].removeprefix(root).startswith("/api/"):
        return JSONResponse({"detail": reason}, status, headers)
    links = ServerLinks(root, "", "")
    return HTMLResponse(render("problem", links, status=status, reason=reason), status, headers)


def _status(error: Exception) -> tuple[int, str]:
    if isinstance(error, UnknownIndexError | UnknownNeuronError):
        return 404, str(error)
    if isinstance(error, BadQuestionError):
        return 400, str(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return 400, f"{first['loc'][-1]}: {first['msg']}"
    if isinstance(error, HTTPException):
        return error.status_code, "there is no such page" if error.status_code == 404 else str(error.detail)
    return 503, str(error)
