"""The runs that several tests look at: the same images, laid out in every way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from raysel.config import RunConfig
from raysel.store import Manifest
from tests.end_to_end.runs import Event, notes, run, zoo_run
from tests.pipeline.corpus import Sample, as_folder, as_tars, corpus, with_bad


@dataclass(frozen=True)
class Images:
    """The same images three times, and which of them are none."""

    samples: dict[str, Sample]
    bad: list[str]
    folder: str
    one_tar: str
    five_tars: str


@dataclass(frozen=True)
class Indexed:
    """A finished run."""

    config: RunConfig
    manifest: Manifest
    log: Path
    events: list[Event]
    """Of the log when the run had ended: tests that use the network add to it."""

    @property
    def out(self) -> Path:
        """Folder of the index."""
        return Path(self.config.out)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    samples, bad = with_bad(corpus(per_class=40, unlabelled=11))
    root = tmp_path_factory.mktemp("images")
    order = np.random.default_rng(3).permutation(len(samples)).tolist()
    return Images(
        samples,
        bad,
        as_folder(samples, root / "folder"),
        as_tars(samples, root / "one", 1),
        as_tars(samples, root / "five", 5, order),
    )


@pytest.fixture(scope="session")
def indexed(local_ray: None, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """The folder of images, on two CPU actors."""
    root = tmp_path_factory.mktemp("indexed")
    # Forward passes take so long that one actor alone would not be given all.
    config = zoo_run(root / "index", images.folder, root / "log", labor_s=0.1)
    outcome = run(config)
    assert outcome.computed
    return Indexed(config, outcome.manifest, root / "log", notes(root / "log"))
