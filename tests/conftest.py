"""What all tests share."""

from __future__ import annotations

import importlib
import os

# Ray reads these once, when it is first imported. The tests' Ray answers this process and ends with it.
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from raysel.files import Folder
from tests.made_once import demo_index, demo_run, home, indexed  # noqa: F401 (fixtures of all tests)
from tests.object_store import BUCKET, object_store, s3  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests go first: at the end of a run in two processes, neither waits for the other."""
    lengths: dict[Path, int] = {}
    for item in items:
        longest = next((k for k, mark in enumerate(("slow", "chaos", "ray")) if item.get_closest_marker(mark)), 3)
        lengths[item.path] = min(longest, lengths.get(item.path, 3))
    items.sort(key=lambda item: lengths[item.path])


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real images and weights; the test is skipped, saying so, where it is not."""
    folder = Path(os.environ.get("RAYSEL_ASSETS", ROOT.parent / "shared" / "assets"))
    if not (folder / "README.md").exists():
        pytest.skip(f"no assets at {folder} (set RAYSEL_ASSETS)")
    return folder


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray of two CPUs and one pretended GPU, which runs use because this process is connected to it."""
    importlib.import_module("raysel.pipeline")  # its settings of Ray come before Ray itself
    import ray

    folder = tempfile.mkdtemp(prefix="rs-", dir="/tmp")  # Ray's sockets need a short path
    # Workers of one run serve the next: starting them is a third of a small run's time.
    with mock.patch.dict(os.environ, {"RAY_idle_worker_killing_time_threshold_ms": "600000"}):
        ray.init(
            address="local",
            num_cpus=2,
            num_gpus=1,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=200 << 20,
            _temp_dir=folder,
        )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder, on the local disk and in the object store."""
    if request.param == "local":
        return Folder.at(tmp_path / "index")
    request.getfixturevalue("s3")
    return Folder.at(f"s3://{BUCKET}/{uuid.uuid4().hex}")


@pytest.fixture
def local_folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path / "index")
