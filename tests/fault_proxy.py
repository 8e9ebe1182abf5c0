"""A small HTTP proxy on loopback before an S3 server: it answers 503, resets in mid-body, or stalls, as a test asks."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["slow down", "reset", "stall"]

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request rate.'
    b"</Message></Error>"
)


@dataclass
class Fault:
    """What is to happen to some requests."""

    kind: Kind
    """``slow down``: 503. ``reset``: the connection is reset after half of the body (of a put: before the answer).
    ``stall``: after half of the body nothing comes any more, and the connection stays open."""
    method: str = "GET"
    path: str = ""
    """Part of the request's path and query."""
    every: int = 1
    """Of the requests that match, each so-manieth, beginning with the first."""
    times: int = 1
    """How often, at most."""
    seen: int = 0
    done: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """True if it is to happen to this request; counts it."""
        if method != self.method or self.path not in path or self.done >= self.times:
            return False
        self.seen += 1
        struck = (self.seen - 1) % self.every == 0
        self.done += struck
        return struck


@dataclass
class FaultProxy:
    """A running proxy."""

    upstream: str
    """``http://host:port`` of the server."""
    endpoint: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """(method, path and query, what was done: a status, or the fault's kind), in order of arrival."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def inject(self, kind: Kind, method: str = "GET", path: str = "", every: int = 1, times: int = 1) -> Fault:
        """From now on, let this happen; returns the fault, whose `done` counts."""
        fault = Fault(kind, method, path, every, times)
        with self.lock:
            self.faults.append(fault)
        return fault

    def fault_for(self, method: str, path: str) -> Kind | None:
        """The fault that strikes a request, if one does."""
        with self.lock:
            return next((fault.kind for fault in self.faults if fault.strikes(method, path)), None)


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A proxy before `upstream` on a free port of loopback."""
    proxy = FaultProxy(upstream)

    class Handler(_Handler):
        pass

    Handler.proxy = proxy
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: `FaultProxy.requests` is the log."""

    def handle_expect_100(self) -> bool:
        """Let the client send its body."""
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.wfile.flush()
        return True

    def _forward(self) -> None:
        body = self._body()
        fault = self.proxy.fault_for(self.command, self.path)
        if fault == "slow down":
            self._note(fault)
            self._answer(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
            return
        location = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(location.hostname or "", location.port, timeout=60)
        try:
            # The host stays the proxy's own: it is what the client has signed.
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("transfer-encoding", "connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            headers = answer.getheaders()
        except (OSError, http.client.HTTPException):
            self._note("upstream is gone")
            self._reset()
            return
        finally:
            connection.close()
        self._note(fault or str(answer.status))
        if fault is None:
            self._answer(answer.status, headers, content)
            return
        if self.command != "PUT":
            self._answer(answer.status, headers, content, short=True)
        if fault == "stall":
            self.proxy.closing.wait()
        self._reset()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, short: bool = False) -> None:
        self.send_response_only(status)
        length = {name.lower(): value for name, value in headers}.get("content-length", str(len(content)))
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if short else content)
        self.wfile.flush()

    def _note(self, what: str) -> None:
        with self.proxy.lock:
            self.proxy.requests.append((self.command, self.path, what))

    def _reset(self) -> None:
        """Let the kernel send a reset in place of an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
