"""Images in several layouts, and the run that several tests use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from raysel.config import RunConfig
from raysel.store import Manifest
from tests.end_to_end.runs import Event, notes, run, zoo_run
from tests.pipeline.corpus import Sample, as_folder, as_tars, corpus, with_bad


@dataclass(frozen=True)
class Images:
    """The same images in three layouts, and the keys of those that are not images."""

    samples: dict[str, Sample]
    bad: list[str]
    folder: str
    one_tar: str


@dataclass(frozen=True)
class Indexed:
    """A finished run."""

    config: RunConfig
    manifest: Manifest
    log: Path
    events: list[Event]
    """The log at the end of the run; tests that use its network add to the file."""

    @property
    def out(self) -> Path:
        """Folder of the index."""
        return Path(self.config.out)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    samples, bad = with_bad(corpus(per_class=40, unlabelled=11))
    root = tmp_path_factory.mktemp("images")
    return Images(
        samples,
        bad,
        as_folder(samples, root / "folder"),
        as_tars(samples, root / "one", 1),
    )


@pytest.fixture(scope="session")
def indexed(local_ray: None, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """The folder of images, on two CPU actors."""
    root = tmp_path_factory.mktemp("indexed")
    config = zoo_run(root / "index", images.folder, root / "log", workers=2)
    # Both actors get some of the calls.
    config = replace(config, network=replace(config.network, network_args={"log": str(root / "log"), "workers": 2}))
    outcome = run(config)
    assert outcome.computed
    return Indexed(config, outcome.manifest, root / "log", notes(root / "log"))
