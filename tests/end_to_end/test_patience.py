"""A cluster that has no room for the scan's actors."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.config import RunConfig
from raysel.errors import RayselError
from tests.end_to_end.conftest import Images
from tests.end_to_end.runs import run, zoo_run

pytestmark = pytest.mark.ray


def test_without_room_for_any_actor_a_run_ends_in_one_line(local_ray: None, images: Images, tmp_path: Path) -> None:
    """The cluster's size allows two actors, but others are there. With room for one of them, the run ends well."""
    import ray

    others = [ray.remote(num_cpus=1)(Guest).remote() for _ in range(2)]
    ray.get([other.here.remote() for other in others])
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log", workers=2, no_progress_timeout_s=3)
    gc.disable()  # Python may collect the handles of the actors at any time, and need not
    try:
        fault = _fault(config)
        assert fault.startswith("no progress for 3 s")
        assert fault.endswith("the cluster has free CPUs, and run again; a scan resumes")
        assert not (tmp_path / "index" / "manifest.json").exists()
        ray.kill(others.pop())
        run(replace(config, scan=replace(config.scan, no_progress_timeout_s=300)))
    finally:
        gc.enable()
        for other in others:
            ray.kill(other)
    assert (tmp_path / "index" / "manifest.json").exists(), "the actors of the first run hold no CPU any more"


def _fault(config: RunConfig) -> str:
    with pytest.raises(RayselError) as error:
        run(config)
    assert "\n" not in str(error.value)
    return str(error.value)


class Guest:
    """Holds a CPU."""

    def here(self) -> None:
        """Answers once it runs."""
