"""A reader that silently loses images makes the run fail, with a message that says where."""

from __future__ import annotations

from pathlib import Path

import pytest

import raysel.pipeline.run as run_module
from raysel.errors import RayselError
from raysel.files import Folder
from tests.chaos.runs import Undisturbed, fragile_run
from tests.chaos.sources import LossySource
from tests.end_to_end.runs import run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_a_reader_that_loses_an_image(
    undisturbed: Undisturbed, faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    opened = run_module.open_source
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "open_source", lambda *given: LossySource(opened(*given), "blue/031.png"))
        with pytest.raises(RayselError, match=r"listed images were not delivered, such as .* of 'blue'") as error:
            run(config)
    assert "\n" not in str(error.value)
    folder = Folder.at(config.out)
    assert not folder.exists("manifest.json")
    assert folder.list("runs") == [], "images after the lost one may have wrong ids: nothing is kept"
    run(config)
    undisturbed.assert_same(config.out)
