"""The undisturbed run, with which all others are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.runs import Undisturbed, fragile_run
from tests.end_to_end.runs import run
from tests.pipeline.corpus import Sample, as_folder, corpus, with_bad


@pytest.fixture(scope="session")
def samples() -> dict[str, Sample]:
    """202 files, of which two are not images."""
    good = corpus(per_class=60, unlabelled=20)
    both, bad = with_bad(good)
    return {key: sample for key, sample in both.items() if key not in bad[2:]}


@pytest.fixture(scope="session")
def undisturbed(local_ray: None, samples: dict[str, Sample], tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    config = fragile_run(root / "index", as_folder(samples, root / "images"), root / "faults")
    outcome = run(config)
    assert outcome.computed
    return Undisturbed(config, outcome.manifest, root / "faults")


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    """Folder of a run's faults and of its log."""
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder
