"""A cluster that has no room for the scan's actors."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysel.errors import RayselError
from tests.end_to_end.conftest import Images
from tests.end_to_end.runs import run, zoo_run

pytestmark = pytest.mark.ray


def test_actors_that_find_no_place_end_the_run_in_one_line(local_ray: None, images: Images, tmp_path: Path) -> None:
    """The cluster's size allows two actors, but somebody else is there."""
    import ray

    other = ray.remote(num_cpus=1)(Guest).remote()
    ray.get(other.here.remote())
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log", workers=2, wait_for_min_actors_s=3)
    try:
        with pytest.raises(RayselError, match=r"did not all start within 3 s") as error:
            run(config)
    finally:
        ray.kill(other)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "index" / "manifest.json").exists()


class Guest:
    """Holds a CPU."""

    def here(self) -> None:
        """Answers once it runs."""
