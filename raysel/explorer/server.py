"""The explorer on a port of this machine."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

import uvicorn

from raysel.errors import RayselError, first_line
from raysel.explorer.app import LOCAL_HOSTS, create_app

_EVERYWHERE = ("0.0.0.0", "::", "")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Server:
    """Listens from the moment it is made, and answers while it runs.

    Args:
        indexes: paths or URIs of indexes, or ``NAME=PLACE``.
        host: address to listen on.
        port: port to listen on; 0 is any that is free.
        token: see `create_app`.
        allow_hosts: names by which visitors reach this machine, beside `host` and localhost.
        images: see `create_app`.

    Raises:
        RayselError: an index cannot be opened, or the port cannot be used.
    """

    def __init__(
        self,
        indexes: Sequence[str],
        host: str = "127.0.0.1",
        port: int = 8080,
        token: str | None = None,
        allow_hosts: Sequence[str] = (),
        images: str | None = None,
    ) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and len(token) >= 8):
            raise RayselError("--token is too short or not plain ASCII: give at least 8 letters, digits or signs")
        own = [socket.gethostname()] if host in _EVERYWHERE else [_in_url(host)]
        app = create_app(indexes, token=token, hosts=[*LOCAL_HOSTS, *own, *allow_hosts], images=images)
        self._socket = _listening(host, port)
        self._token = token
        self.open_to_all = token is None and host not in _LOOPBACK
        """Whether others than the users of this machine can read the indexes."""
        shown = "127.0.0.1" if host in _EVERYWHERE else _in_url(host)
        query = f"?token={quote(token, safe='')}" if token else ""
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}/{query}"
        """Where a browser finds the explorer, with the token if there is one."""
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, proxy_headers=False)
        )

    def open_browser(self) -> None:
        """Open the explorer in the user's browser, if there is one."""
        webbrowser.open(self.url)

    def run(self) -> None:
        """Answer until the process is interrupted."""
        with suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Make `run` return, from another thread."""
        self._server.should_exit = True


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise RayselError(f"cannot listen on {host}, port {port}, give another --port: {first_line(error)}") from None
