"""Full disks: a run needs no space for decoded inputs; without space for the index it fails in one line."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.files import Folder
from tests.chaos.commands import started, typed
from tests.end_to_end.conftest import Images, Indexed
from tests.end_to_end.runs import digests, run, zoo_run
from tests.small_disk import small_disk

pytestmark = pytest.mark.ray


def test_decoded_inputs_have_places_as_far_as_the_disk_goes(
    indexed: Indexed,
    images: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    needed = indexed.manifest.counters["derive.images_needed"]
    with small_disk(tmp_path / "small", 128) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        manifest = run(zoo_run(tmp_path / "index", images.folder, tmp_path / "log")).manifest
        assert list(disk.iterdir()) == []
    assert digests(manifest) == digests(indexed.manifest)
    assert manifest.counters["derive.images_decoded"] > needed
    said = re.search(
        r"derive: the temporary folder has space for (\d+) of (\d+) decoded images", capfd.readouterr().err
    )
    assert said is not None
    assert 0 < int(said[1]) < int(said[2]) == needed


def test_no_place_for_decoded_inputs(
    indexed: Indexed, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    assert digests(run(zoo_run(tmp_path / "index", images.folder, tmp_path / "log")).manifest) == digests(
        indexed.manifest
    )


def test_no_space_for_the_index(indexed: Indexed, images: Images, tmp_path: Path) -> None:
    """For the plan, for the state of the scan, for chunks, for tables. With more space the same command resumes."""
    with small_disk(tmp_path / "small", 16) as disk:
        config = zoo_run(disk / "index", images.folder, tmp_path / "log")
        folder = Folder.at(config.out)
        for larger in ("48k", "120k", "240k", "4m"):
            with pytest.raises(RayselError, match=r"^cannot write .*: .*No space left on device") as error:
                run(config)
            assert "\n" not in str(error.value)
            assert not folder.exists("manifest.json")
            assert not folder.exists("LOCK")
            assert not folder.drafts()
            subprocess.run(["mount", "-o", f"remount,size={larger}", disk], check=True)
        assert digests(run(config).manifest) == digests(indexed.manifest)


def test_no_space_for_the_index_of_a_command(local_ray: None, images: Images, tmp_path: Path) -> None:
    import ray

    with small_disk(tmp_path / "small", 48) as disk:
        config = zoo_run(disk / "index", images.folder, tmp_path / "log")
        address, said = ray.get_runtime_context().gcs_address, tmp_path / "said"
        with started(typed(config, tmp_path / "run.toml", address), said) as command:
            assert command.wait(240) == 2
    # Ray may warn of the many workers of all tests, at any time.
    *progress, line = [each for each in said.read_text().splitlines() if "(raylet)" not in each]
    assert all(each.startswith("raysel ") for each in progress)
    assert re.fullmatch(r"raysel: cannot write .*: .*No space left on device", line)
