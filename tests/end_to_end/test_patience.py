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


@pytest.mark.parametrize("guests", [1, 2])
def test_actors_that_find_no_place_end_the_run_in_one_line(
    local_ray: None, images: Images, tmp_path: Path, guests: int
) -> None:
    """The cluster's size allows two actors, but somebody else is there."""
    import ray

    others = [ray.remote(num_cpus=1)(Guest).remote() for _ in range(guests)]
    ray.get([other.here.remote() for other in others])
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log", workers=2, wait_for_min_actors_s=3)
    gc.disable()  # Python may collect the handles of the actors at any time, and need not
    try:
        assert _fault(config).startswith("the actors did not all start within 3 s")
        assert not (tmp_path / "index" / "manifest.json").exists()
        for other in others:
            ray.kill(other)
        run(replace(config, scan=replace(config.scan, wait_for_min_actors_s=300)))
    finally:
        gc.enable()
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
