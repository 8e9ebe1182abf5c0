"""Fixtures that take their time and serve many tests: folders to type in, and indexes made as a person makes them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.typed import TINY, Ended, furnish, raysel


def _once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> Any:
    """What `make` makes in a folder of this name, made once also when tests run in several processes."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with FileLock(shared / f"{name}.lock"):
        record = shared / f"{name}.pickle"
        if not record.exists():
            (shared / name).mkdir()
            record.write_bytes(pickle.dumps(make(shared / name)))
        return pickle.loads(record.read_bytes())


def _with_torn_image(folder: Path) -> Path:
    furnish(folder)
    (folder / "images" / "red" / "torn.png").write_bytes((folder / "images" / "red" / "00.png").read_bytes()[:300])
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network, 30 images, and one file that is no longer an image. Tests may add to it, and change nothing."""
    return _once(tmp_path_factory, "home", _with_torn_image)


@pytest.fixture(scope="session")
def indexed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """``raysel index ... --out index --json`` in `home`."""
    return _once(tmp_path_factory, "indexed", lambda _: raysel(home, "index", *TINY, "--out", "index", "--json"))


@dataclass(frozen=True)
class DemoRun:
    folder: Path
    """With ``shards`` and ``index`` in it."""
    ended: Ended


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """``raysel demo``, about 100 s on two cores."""
    return _once(tmp_path_factory, "demo", lambda folder: DemoRun(folder / "demo", raysel(folder, "demo", "demo")))


@pytest.fixture(scope="session")
def demo_index(demo_run: DemoRun) -> Path:
    """The folder of the demo's index."""
    assert demo_run.ended.status == 0, demo_run.ended.err
    return demo_run.folder / "index"
