"""The token of a local Ray: it answers the process that started it, and no other user of the machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

try:
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # private, ray 2.60
except ImportError:  # a later Ray keeps the token that it read first
    AuthenticationTokenLoader = Config = None


@contextmanager
def own_token() -> Iterator[None]:
    """A local Ray that is started in the block answers this process and its children, and no other user of the machine.

    Elsewhere this process authenticates as the user has set it up: the settings are as before after the block.
    """
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    if before["RAY_AUTH_MODE"] or Config is None:
        yield
        return
    _authenticate({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    try:
        yield
    finally:
        _authenticate(before)


def _authenticate(settings: dict[str, str | None]) -> None:
    for name, value in settings.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    # Ray read its settings when it was imported, and keeps the first token that it read.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
