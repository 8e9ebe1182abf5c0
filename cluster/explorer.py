"""The explorer on Ray Serve, or behind any ASGI server.

    serve run cluster.explorer:on_ray indexes="s3://bucket/a s3://bucket/b" hosts=explorer.example.org
    RAYSEL_INDEXES="s3://bucket/a" RAYSEL_HOSTS="explorer.example.org" uvicorn --factory cluster.explorer:asgi

The first needs ``pip install 'ray[serve]' 'raysel[explorer]'`` on all machines; ``replicas=2`` makes two. Hosts are the
names by which visitors reach it. A token comes from ``$RAYSEL_TOKEN``; without one, everyone who reaches the server can
read the indexes.
"""

from __future__ import annotations

import os
from typing import Any

from raysel.explorer.app import LOCAL_HOSTS, create_app


def build(indexes: str, hosts: str = "", token: str | None = None) -> Any:
    """The application over indexes and hosts that are separated by spaces."""
    return create_app(indexes.split(), token=token, hosts=[*LOCAL_HOSTS, *hosts.split()])


def asgi() -> Any:
    """The application that the environment asks for."""
    return build(
        os.environ["RAYSEL_INDEXES"], os.environ.get("RAYSEL_HOSTS", ""), os.environ.get("RAYSEL_TOKEN") or None
    )


def on_ray(arguments: dict[str, str]) -> Any:
    """The application of ``serve run``. Each replica opens the indexes itself and keeps its own pictures."""
    from ray import serve

    token = os.environ.get("RAYSEL_TOKEN") or None

    def made() -> Any:  # Ray Serve takes a function, and calls it on each replica
        return build(arguments["indexes"], arguments.get("hosts", ""), token)

    replicas = int(arguments.get("replicas", "1"))
    return serve.deployment(serve.ingress(made)(), num_replicas=replicas).options(name="explorer").bind()
