"""What stands before every request: the token, and the headers that keep a browser within these pages."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)
"""Content security policy of every page: everything comes from here, and no script or style is inside of a page."""
HEADERS = {
    "content-security-policy": f"{CONTENT_POLICY}; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-cache",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""Of every answer, unless it has its own."""
_COOKIE = "raysel-explorer"
_ASK = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>raysel: token needed</title><main><h1>This explorer needs its token</h1>"
    "<p>Open the address with <code>?token=…</code> that <code>raysel serve</code> printed, "
    "or send <code>Authorization: Bearer …</code>.</p></main></html>"
)


class SafeHeaders:
    """Adds the headers to every response, except those that it has already."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(each for each in more if each[0] not in present)]
            await send(message)

        await self.app(scope, receive, with_headers)


class HeadIsGet:
    """Answers HEAD as GET without its body: FastAPI's routes refuse it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, without_body)


class TokenGate:
    """Refuses requests without the token.

    The token comes as ``?token=`` of a first visit, which sets a cookie and leads to the same address without it, or as
    ``Authorization: Bearer``. Comparisons take the same time whatever they find.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self._token = token.encode()
        self._cookie = hashlib.sha256(b"raysel-explorer:" + self._token).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self._checked(scope)(scope, receive, send)

    def _checked(self, scope: Scope) -> ASGIApp:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(parameters).get("token")
        if given is not None and self._is_token(given):
            return self._enter(scope, [each for each in parameters if each[0] != "token"])
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return self.app
        cookie = cookie_parser(headers.get("cookie", "")).get(self._cookie_name(scope), "")
        if hmac.compare_digest(cookie.encode(), self._cookie.encode()):
            return self.app
        return HTMLResponse(_ASK, 401, {"www-authenticate": "Bearer", "cache-control": "no-store"})

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)

    def _cookie_name(self, scope: MutableMapping[str, Any]) -> str:
        """Cookies are shared by all ports of a host: each port has its own name."""
        server = scope.get("server") or ("", 0)
        return f"{_COOKIE}-{server[1]}"

    def _enter(self, scope: Scope, parameters: list[tuple[str, str]]) -> Response:
        path = quote(scope["path"], safe="/:@!$&'()*+,;=~-._")
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        response = RedirectResponse("/" + target.lstrip("/"), 303, {"cache-control": "no-store"})
        secure = scope.get("scheme") == "https"
        response.set_cookie(
            self._cookie_name(scope), self._cookie, httponly=True, samesite="lax", secure=secure, path="/"
        )
        return response
