"""Several checkpoints in one pass over the images: each index is the one made alone, and each image is decoded once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raysel.checkpoints import indexing
from raysel.checkpoints.discovery import checkpoints_at
from raysel.checkpoints.watching import Watch, look
from raysel.config import RunConfig
from raysel.pipeline.progress import Reporter
from raysel.pipeline.run import index
from raysel.pipeline.scan.state import RunningState
from raysel.pipeline.scan.together import scan_together
from raysel.store import open_index
from tests.checkpoints.training import draw_images
from tests.end_to_end.runs import digests, notes, zoo_run
from tests.networks import Zoo

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture
def checkpoints(tmp_path: Path) -> list[Path]:
    """Two checkpoints of the zoo, and one that does not fit it."""
    (tmp_path / "checkpoints").mkdir()
    draw_images(tmp_path / "images")
    paths = [tmp_path / "checkpoints" / f"step-{step}.pth" for step in (1, 2, 3)]
    for step, path in enumerate(paths):
        state = Zoo().state_dict()
        state["second.weight"] = state["second.weight"] * (1 - 0.7 * step)
        torch.save(state if step < 2 else {"other": torch.ones(2)}, path)
    return paths


def run_of(folder: Path, checkpoint: Path, out: str, log: str) -> RunConfig:
    config = zoo_run(folder / out, str(folder / "images"), folder / log)
    return replace(config, network=replace(config.network, weights=str(checkpoint)))


def decoded(log: Path) -> int:
    """Images that were decoded during scans: derive decodes in the driver's tasks, which run no forward."""
    events = notes(log)
    scanning = {pid for event, pid, *_ in events if event.startswith("forward")}
    return sum(event == "decode" and pid in scanning for event, pid, *_ in events)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_each_index_is_the_one_made_alone(
    checkpoints: list[Path], local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it is interrupted after the scan: the next call finds what was scanned."""
    alone = [index(run_of(tmp_path, path, f"alone-{path.stem}", "alone"), Reporter()) for path in checkpoints[:2]]
    configs = [run_of(tmp_path, path, path.stem, "log") for path in checkpoints]
    with monkeypatch.context() as patch:
        patch.setattr(RunningState, "part", interrupt)
        with pytest.raises(KeyboardInterrupt):
            scan_together(configs, Reporter())
    of_scan = decoded(tmp_path / "log")
    assert scan_together(configs, Reporter()) == [config.out for config in configs[:2]]
    assert 0 < of_scan == decoded(tmp_path / "alone") / 2
    for config, other in zip(configs, alone, strict=False):
        made = index(config, Reporter())
        assert made.computed
        assert digests(made.manifest) == digests(other.manifest)
        assert not list(Path(config.out, "runs").glob("*"))
    assert decoded(tmp_path / "log") == of_scan, "the scans were finished"
    assert digests(alone[0].manifest)["rankings.parquet"] != digests(alone[1].manifest)["rankings.parquet"]
    assert scan_together(configs, Reporter()) == [], "they are published"


def test_a_watcher_scans_together(
    checkpoints: list[Path], local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that does not fit is left out, and fails by itself."""
    scanned: list[list[str]] = []
    monkeypatch.setattr(
        indexing, "scan_together", lambda configs, reporter: scanned.append(scan_together(configs, reporter))
    )
    config = zoo_run(tmp_path / "unused", str(tmp_path / "images"), tmp_path / "log")
    find = lambda: checkpoints_at(str(tmp_path / "checkpoints"))  # noqa: E731
    done = look(Watch(find, str(tmp_path / "indexes"), config, 0.0, together=3), Reporter())
    assert [each.state for each in done.attempts] == ["indexed", "indexed", "failed"]
    assert [[Path(out).name for out in outs] for outs in scanned] == [
        ["step-000000001-step-1", "step-000000002-step-2"]
    ]
    for name in ("step-000000001-step-1", "step-000000002-step-2"):
        assert open_index(tmp_path / "indexes" / name).manifest.counts.images == 60
