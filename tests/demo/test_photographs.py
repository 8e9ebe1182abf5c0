"""The demo's images: real, labeled, and the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skimage")
pytest.importorskip("sklearn")

from raysel.demo.photographs import make_demo_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_shards(tmp_path_factory.mktemp("first"))


def members(shards: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(shards.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                assert member.name not in found
                found[member.name] = tar.extractfile(member).read()
    return found


def digests(shards: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards.iterdir()}


def test_about_1500_crops_of_at_least_12_subjects(shards: Path):
    labels = Counter(content.decode() for name, content in members(shards).items() if name.endswith(".cls"))
    assert len(labels) >= 12
    assert 1400 <= labels.total() <= 1600
    assert max(labels.values()) == min(labels.values())


def test_every_crop_is_a_photograph_with_a_label(shards: Path):
    found = members(shards)
    images = [name for name in found if name.endswith(".jpg")]
    assert len(found) == 2 * len(images)
    for name in images:
        assert found[name.replace(".jpg", ".cls")].decode() == name.rpartition("-")[0]
    for name in images[::50]:
        picture = Image.open(io.BytesIO(found[name]))
        assert (picture.mode, picture.size) == ("RGB", (256, 256))


def test_no_two_crops_are_equal(shards: Path):
    found = members(shards)
    crops = [content for name, content in found.items() if name.endswith(".jpg")]
    assert len({hashlib.sha256(each).digest() for each in crops}) == len(crops)


def test_every_shard_mixes_subjects(shards: Path):
    for path in shards.glob("*.tar"):
        with tarfile.open(path) as tar:
            subjects = {name.rpartition("-")[0] for name in tar.getnames()}
        assert len(subjects) >= 12


def test_the_same_bytes_every_time(shards: Path, tmp_path: Path):
    np.random.seed(1)  # the global random state has no effect
    assert digests(make_demo_shards(tmp_path)) == digests(shards)


def test_existing_shards_are_kept(shards: Path):
    before = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
    assert make_demo_shards(shards.parent) == shards
    assert {path: path.stat().st_mtime_ns for path in shards.iterdir()} == before


def test_unfinished_shards_are_made_again(shards: Path, tmp_path: Path):
    torn = tmp_path / "shards.unfinished"
    torn.mkdir()
    (torn / "demo-99.tar").write_bytes(b"torn")
    assert digests(make_demo_shards(tmp_path)) == digests(shards)
    assert not torn.exists()
