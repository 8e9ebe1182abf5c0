"""An error in a task or an actor reaches the user as the one line that it was raised with."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import raysel
import raysel.pipeline.publish as publish_module
from raysel.errors import RayselError
from raysel.pipeline.verify import Sample, verify
from tests.end_to_end.conftest import Images
from tests.end_to_end.runs import run, zoo_run

pytestmark = pytest.mark.ray


def test_a_truncated_tar(local_ray: None, images: Images, tmp_path: Path) -> None:
    (whole,) = Path(images.one_tar).glob("*.tar")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "cut.tar").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(RayselError) as fault:
        run(zoo_run(tmp_path / "index", str(tmp_path / "cut"), tmp_path / "log"))
    line = str(fault.value)
    assert line.startswith("shard cut.tar")
    assert "\n" not in line
    assert "Traceback" not in line
    assert "ray" not in line.lower()
    assert len(line) < 300
    assert not (tmp_path / "index" / "manifest.json").exists()


def test_an_actor_that_cannot_be_made(local_ray: None, images: Images, tmp_path: Path) -> None:
    """The GPU is a resource without hardware, and this run asks for CUDA."""
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log", gpus=1, workers=None, device="cuda")
    with pytest.raises(RayselError, match=r"^the actor has a GPU but torch finds no CUDA device: .*$"):
        run(config)


def test_too_many_bad_images(local_ray: None, images: Images, tmp_path: Path) -> None:
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log")
    with pytest.raises(RayselError, match=r"bad images of .*, at most 0 are allowed .*raise --max-bad"):
        run(replace(config, source=replace(config.source, max_bad=0.0)))


def test_a_scan_that_was_finished_before_hides_no_bad_images(
    local_ray: None, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log")

    def stop(*_: object) -> None:
        raise RayselError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(publish_module, "derive", stop)
        with pytest.raises(RayselError, match="stopped"):
            run(config)
    with pytest.raises(RayselError, match=r"bad images of .*, at most 0 are allowed"):
        run(replace(config, source=replace(config.source, max_bad=0.0)))


def test_layers_without_a_convolution_between_them(local_ray: None, images: Images, tmp_path: Path) -> None:
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log")
    network = replace(config.network, network="tests.networks:heads", network_args={}, layers=("narrow", "wide"))
    run(replace(config, network=network))
    index = raysel.open(config.out)
    assert index.layers == ("narrow", "wide")
    assert index.neurons["channel"].to_pylist() == [*range(3), *range(5)]
    assert not verify(config.out, Sample(8, 2, 0)).problems


def test_a_network_that_is_dead(local_ray: None, images: Images, tmp_path: Path) -> None:
    config = zoo_run(tmp_path / "index", images.folder, tmp_path / "log")
    network = replace(config.network, network="tests.networks:nothing", network_args={}, layers=("*",))
    outcome = run(replace(config, network=network))
    assert outcome.manifest.counts.dead == outcome.manifest.counts.neurons == 4
    checked = verify(config.out, Sample(8, 2, 0))
    assert (checked.runs, checked.problems) == (0, [])


def test_an_image_that_is_damaged_after_the_scan(
    local_ray: None, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is the same, so only decoding finds out. Once it is restored, the run resumes."""
    folder = Path(shutil.copytree(images.folder, tmp_path / "images"))
    config = zoo_run(tmp_path / "index", str(folder), tmp_path / "log")
    image, derive = folder / "amber" / "001.png", publish_module.derive
    whole, when = image.read_bytes(), image.stat()

    def derive_after_damage(*arguments: Any) -> Any:
        image.write_bytes(bytes(len(whole)))
        return derive(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(publish_module, "derive", derive_after_damage)
        with pytest.raises(
            RayselError, match=r"^image 'amber/001\.png' of shard 'amber' cannot be decoded .*$"
        ) as fault:
            run(config)
    assert "\n" not in str(fault.value)
    image.write_bytes(whole)
    os.utime(image, ns=(when.st_atime_ns, when.st_mtime_ns))
    outcome = run(config)
    assert outcome.computed
    assert outcome.manifest.counters["scan.images"] == 0
