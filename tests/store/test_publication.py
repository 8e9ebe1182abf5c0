"""Publication in one step, the check of its files, and what happens to the index before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import raysel
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.store import check_files, publish, read_manifest, remove_unreferenced
from tests.store.synthetic import LAYERS, Synthetic, build

_HOUR = timedelta(hours=1)


@pytest.fixture
def made(tmp_path: Path) -> Synthetic:
    return build(tmp_path, LAYERS[:1])


def test_check_finds_nothing_in_a_sound_index(made: Synthetic) -> None:
    assert check_files(made.folder, made.manifest) == []


def test_check_finds_a_flipped_byte_a_missing_and_a_truncated_file(made: Synthetic, tmp_path: Path) -> None:
    flipped, missing, truncated = (made.manifest.files[place].name for place in (0, 2, 4))
    content = bytearray((tmp_path / flipped).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / flipped).write_bytes(content)
    (tmp_path / missing).unlink()
    size = (tmp_path / truncated).stat().st_size
    (tmp_path / truncated).write_bytes((tmp_path / truncated).read_bytes()[:-1])
    assert check_files(made.folder, made.manifest) == [
        f"{flipped}: altered (SHA-256 differs from the manifest's)",
        f"{missing}: missing",
        f"{truncated}: {size - 1} bytes, the manifest says {size}",
    ]


def test_an_incomplete_index_is_not_published(tmp_path: Path) -> None:
    made = build(tmp_path, LAYERS[:1], published=False)
    name = made.manifest.files[-1].name
    (tmp_path / name).unlink()
    with pytest.raises(RayselError, match=f"not published, {tmp_path} is incomplete: {name}: missing"):
        publish(made.folder, made.manifest)
    assert not (tmp_path / "manifest.json").exists()


def test_manifest_is_the_last_thing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build(tmp_path, LAYERS[:1], published=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    puts: list[str] = []
    put = Folder.put

    def watched(self: Folder, name: str, data: bytes) -> None:
        puts.append(name)
        put(self, name, data)

    monkeypatch.setattr(Folder, "put", watched)
    publish(made.folder, made.manifest)
    assert puts == ["manifest.json"]
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} == {tmp_path / "manifest.json"}


def test_manifest_there_and_back(made: Synthetic, tmp_path: Path) -> None:
    fields = json.loads((tmp_path / "manifest.json").read_text())
    assert fields["format_version"] == 1
    assert fields["counts"]["neurons"] == 70
    assert fields["counters"] == {"scan.candidates_sent": 1234}
    assert datetime.fromisoformat(fields["created"]).utcoffset() == timedelta(0)
    assert read_manifest(made.folder) == made.manifest


def _edit(folder: Path, **changes: object) -> Folder:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return Folder.at(folder)


def test_a_newer_format_is_refused(made: Synthetic, tmp_path: Path) -> None:
    folder = _edit(tmp_path, format_version=2, network="of another shape")
    with pytest.raises(RayselError, match="has format 2, this raysel reads up to 1: update raysel"):
        read_manifest(folder)


def test_fields_of_later_versions_are_kept(made: Synthetic, tmp_path: Path) -> None:
    manifest = read_manifest(_edit(tmp_path, later={"a": 1}))
    assert json.loads(manifest.to_json())["later"] == {"a": 1}


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "data/../../outside"])
def test_a_manifest_cannot_name_files_outside(made: Synthetic, tmp_path: Path, name: str) -> None:
    folder = _edit(tmp_path, files=[{"name": name, "size": 1, "sha256": ""}])
    with pytest.raises(RayselError, match=r"files\.0\.name"):
        read_manifest(folder)


@pytest.mark.parametrize("fingerprint", ["..", "a/../..", "", "/tmp"])
def test_a_manifest_cannot_place_its_tables_outside(made: Synthetic, tmp_path: Path, fingerprint: str) -> None:
    with pytest.raises(RayselError, match="index_fingerprint"):
        read_manifest(_edit(tmp_path, index_fingerprint=fingerprint))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format_version": 1}', "null"])
def test_a_damaged_manifest_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RayselError, match=r"manifest\.json") as raised:
        raysel.open(tmp_path)
    assert "\n" not in str(raised.value)


def _replace(made: Synthetic, tmp_path: Path) -> None:
    """Publish an index with another fingerprint over the one that is there."""
    old = tmp_path / made.manifest.data
    new = tmp_path / "data" / "newer"
    new.mkdir()
    for path in old.rglob("*.parquet"):
        (new / path.relative_to(old)).parent.mkdir(exist_ok=True)
        (new / path.relative_to(old)).write_bytes(path.read_bytes())
    files = [
        entry.model_copy(update={"name": entry.name.replace(made.manifest.data, "data/newer")})
        for entry in made.manifest.files
    ]
    publish(made.folder, made.manifest.model_copy(update={"index_fingerprint": "newer", "files": files}))


def test_the_former_index_stays_for_its_readers_and_then_goes(made: Synthetic, tmp_path: Path) -> None:
    reader = raysel.open(tmp_path)
    _replace(made, tmp_path)
    assert remove_unreferenced(made.folder, _HOUR) == []
    assert reader.neuron("stem", 0).feature is not None
    later = datetime.now(UTC) + _HOUR
    assert remove_unreferenced(made.folder, _HOUR, now=later) == [made.manifest.data]
    assert not (tmp_path / made.manifest.data).exists()
    assert check_files(made.folder, read_manifest(made.folder)) == []
    assert raysel.open(tmp_path).neuron("stem", 0).feature is not None


def test_an_old_index_has_its_grace_from_when_it_was_replaced(made: Synthetic, tmp_path: Path) -> None:
    import os

    for path in (tmp_path / made.manifest.data).rglob("*.parquet"):
        os.utime(path, (0, 0))
    _replace(made, tmp_path)
    assert remove_unreferenced(made.folder, _HOUR) == []
    assert (tmp_path / made.manifest.data).exists()


def test_what_a_dead_run_left_goes_after_its_last_write(made: Synthetic, tmp_path: Path) -> None:
    made.folder.put("data/dead/features/a.parquet", b"1")
    assert remove_unreferenced(made.folder, _HOUR) == []
    assert remove_unreferenced(made.folder, timedelta(0), now=datetime.now(UTC) + timedelta(seconds=1)) == ["data/dead"]
    assert not (tmp_path / "data/dead").exists()
    assert check_files(made.folder, made.manifest) == []


def test_superseded_is_forgotten_with_its_files(made: Synthetic, tmp_path: Path) -> None:
    _replace(made, tmp_path)
    assert set(read_manifest(made.folder).superseded) == {made.manifest.index_fingerprint}
    made.folder.delete_below(made.manifest.data)
    publish(made.folder, read_manifest(made.folder))
    assert read_manifest(made.folder).superseded == {}


def test_strays_beside_the_tables_go_too(made: Synthetic, tmp_path: Path) -> None:
    made.folder.put(f"{made.manifest.data}/features/of-another-run.parquet", b"1")
    draft = tmp_path / made.manifest.data / ".unfinished-1"
    draft.write_bytes(b"half")
    assert remove_unreferenced(made.folder, _HOUR) == []
    gone = remove_unreferenced(made.folder, _HOUR, now=datetime.now(UTC) + _HOUR + timedelta(seconds=1))
    assert gone == [f"{made.manifest.data}/.unfinished-1", f"{made.manifest.data}/features/of-another-run.parquet"]
    assert not draft.exists()
    assert check_files(made.folder, made.manifest) == []
