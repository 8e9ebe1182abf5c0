"""A synthetic index that the explorer serves, in this process and in one of its own, and a browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the explorer needs raysel[explorer]")

from starlette.testclient import TestClient

from raysel.explorer.app import create_app
from raysel.explorer.server import Server
from tests.store.synthetic import Layer, Synthetic, build

ODD = Layer("odd/../name %2e", 3, 9, 2)
"""A layer whose name is a path: it must be a name everywhere."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    from tests.store.synthetic import LAYERS

    return build(tmp_path_factory.mktemp("explored") / "made", layers=(*LAYERS, ODD), seed=3)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    """The same neurons at another checkpoint."""
    from tests.store.synthetic import LAYERS

    return build(tmp_path_factory.mktemp("explored") / "other", layers=LAYERS, seed=4)


@pytest.fixture(scope="session")
def client(made: Synthetic, other: Synthetic) -> TestClient:
    return TestClient(create_app([made.folder.path, other.folder.path]), "http://localhost", follow_redirects=False)


@pytest.fixture(scope="session")
def address(made: Synthetic, other: Synthetic) -> Iterator[str]:
    """Where a server listens that shows both indexes."""
    server = Server([made.folder.path, other.folder.path], port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.url.rstrip("/")
    server.stop()
    thread.join(10)


def chromium() -> str:
    """The browser of the system; the test is skipped, saying so, where there is none."""
    pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    found = next(filter(None, (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium: apt-get install chromium")
    return str(Path(found))
