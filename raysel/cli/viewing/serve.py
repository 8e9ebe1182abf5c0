"""``raysel serve``: the explorer, on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson
from raysel.cli.output import print_json
from raysel.errors import RayselError

_PACKAGES = ("fastapi", "starlette", "uvicorn", "jinja2")


def serve(
    *indexes: Annotated[str, Parameter(name="INDEX", help="Paths or URIs of indexes, or NAME=INDEX.")],
    host: str = "127.0.0.1",
    port: int = 8080,
    open_: Annotated[bool, Parameter(name="--open")] = False,
    token: Annotated[str | None, Parameter(env_var="RAYSEL_TOKEN")] = None,
    allow_host: Annotated[tuple[str, ...], Parameter(metavar="NAME", negative="")] = (),
    images: Annotated[str | None, Parameter(metavar="PATH")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve indexes until Ctrl-C.

    Args:
        host: Address to listen on. Any other than 127.0.0.1 is open to the network.
        port: Port to listen on; 0 picks a free port.
        open_: Open the explorer in a browser.
        token: What visitors must know, at least 8 characters. It may also be in $RAYSEL_TOKEN.
        allow_host: Name by which visitors reach this machine, if it is not the host. Repeat the option to give several.
        images: Where the images are now, if they were moved.
    """
    try:
        from raysel.explorer.server import Server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise RayselError(f"the explorer needs the package {error.name}: pip install 'raysel[explorer]'") from None
    if not indexes:
        raise RayselError("no index is given: write raysel serve INDEX")
    server = Server(indexes, host, port, token, allow_host, images)
    if as_json:
        print_json({"url": server.url})
    else:
        print(f"{server.url}  (Ctrl-C ends)")
    sys.stdout.flush()
    if server.open_to_all:
        warning = f"anyone who can reach {host} can read these indexes: give --token SECRET to require a token"
        print(f"raysel: {warning}", file=sys.stderr)
    if open_:
        server.open_browser()
    server.run()
