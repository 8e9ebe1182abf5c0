"""Publication in one step, against other runs too; the check of the files; the removal of what was replaced."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import raysel
from raysel.errors import RayselError
from raysel.files import Folder, conditional_file
from raysel.store import (
    FORMAT_VERSION,
    LOCK_NAME,
    Counts,
    Manifest,
    check_files,
    locked,
    publish,
    published_manifest,
    read_manifest,
    remove_progress,
    remove_unreferenced,
)
from raysel.store.publication import DATA_GRACE, RUNS_GRACE
from tests.store.locks import SILENT, elsewhere
from tests.store.synthetic import LAYERS, Synthetic, build

_SECOND = timedelta(seconds=1)


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
    with (
        locked(made.folder, print) as lock,
        pytest.raises(RayselError, match=f"not published, {tmp_path} is incomplete: {name}: missing"),
    ):
        publish(lock, made.manifest)
    assert not (tmp_path / "manifest.json").exists()


def test_publication_writes_only_the_manifest(tmp_path: Path) -> None:
    made = build(tmp_path, LAYERS[:1], published=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    with locked(made.folder, print) as lock:
        publish(lock, made.manifest)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} == {tmp_path / "manifest.json"}


@pytest.fixture
def manifests(folder: Folder) -> tuple[Manifest, Manifest]:
    """The manifests of two runs over the same tables, neither published."""
    first = build(folder, LAYERS[:1], published=False).manifest
    return first, first.model_copy(update={"counters": {"run": 2}})


def test_a_run_that_lost_its_lock_publishes_nothing(folder: Folder, manifests: tuple[Manifest, Manifest]) -> None:
    with locked(folder, print, SILENT) as lock:
        file = conditional_file(folder, LOCK_NAME)
        assert file.put(elsewhere(), file.read()[1])
        with pytest.raises(RayselError, match="lost to another run") as error:
            publish(lock, manifests[0])
    assert "\n" not in str(error.value)
    assert not folder.exists("manifest.json")


@pytest.mark.parametrize("replacing", [False, True])
def test_a_run_that_stalls_before_its_put_overwrites_nothing(
    folder: Folder, manifests: tuple[Manifest, Manifest], replacing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run takes over after the confirmation, and publishes first."""
    first, second = manifests
    if replacing:
        with locked(folder, print, SILENT) as lock:
            publish(lock, first.model_copy(update={"counters": {"run": 0}}))
    with locked(folder, print, SILENT) as stalled:

        def stall() -> None:
            folder.delete(LOCK_NAME)
            with locked(folder, print, SILENT) as other:
                publish(other, second)

        monkeypatch.setattr(stalled, "confirm", stall)
        with pytest.raises(RayselError, match="not published, another run") as error:
            publish(stalled, first)
    assert "\n" not in str(error.value)
    assert read_manifest(folder).counters == {"run": 2}


def test_of_two_runs_the_second_put_fails(
    folder: Folder, manifests: tuple[Manifest, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that lost its lock after the confirmation publishes before the run that took over: then that one fails."""
    first, second = manifests
    with locked(folder, print, SILENT) as stalled:
        folder.delete(LOCK_NAME)
        with locked(folder, print, SILENT) as other:
            monkeypatch.setattr(stalled, "confirm", lambda: None)
            assert publish(stalled, first) == read_manifest(folder)
            with pytest.raises(RayselError, match="not published, another run"):
                publish(other, second)
    assert read_manifest(folder).counters == first.counters
    assert check_files(folder, read_manifest(folder)) == []


def test_the_manifest_can_be_read_again(made: Synthetic, tmp_path: Path) -> None:
    fields = json.loads((tmp_path / "manifest.json").read_text())
    assert fields["format_version"] == FORMAT_VERSION
    assert fields["counts"]["neurons"] == 70
    assert fields["counters"] == {"scan.candidates_sent": 1234}
    assert datetime.fromisoformat(fields["created"]).utcoffset() == timedelta(0)
    assert read_manifest(made.folder) == made.manifest


def _edit(folder: Path, **changes: object) -> Folder:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return Folder.at(folder)


@pytest.mark.parametrize(
    ("version", "advice"), [(1, "run `raysel index` again with --replace"), (FORMAT_VERSION + 1, "update raysel")]
)
def test_another_format_is_refused(made: Synthetic, tmp_path: Path, version: int, advice: str) -> None:
    folder = _edit(tmp_path, format_version=version, network="of another shape")
    with pytest.raises(
        RayselError, match=f"has format {version}, this raysel reads format {FORMAT_VERSION}: {advice}"
    ) as error:
        raysel.open(tmp_path)
    assert "\n" not in str(error.value)
    assert published_manifest(folder) is None


def test_an_index_of_another_format_can_be_replaced(made: Synthetic, tmp_path: Path) -> None:
    folder = _edit(tmp_path, format_version=1, counts={"passed_over": 2})
    with locked(folder, print) as lock:
        publish(lock, made.manifest)
    assert read_manifest(folder) == made.manifest


def test_fields_of_later_versions_are_kept(made: Synthetic, tmp_path: Path) -> None:
    manifest = read_manifest(_edit(tmp_path, later={"a": 1}))
    assert json.loads(manifest.to_json())["later"] == {"a": 1}


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "data/../../outside"])
def test_a_manifest_cannot_name_files_outside(made: Synthetic, tmp_path: Path, name: str) -> None:
    folder = _edit(tmp_path, files=[{"name": name, "size": 1, "sha256": ""}])
    with pytest.raises(RayselError, match=r"files\.0\.name"):
        read_manifest(folder)


@pytest.mark.parametrize("fingerprint", ["..", "a/../..", "", "/tmp"])
def test_a_manifest_cannot_have_its_tables_outside(made: Synthetic, tmp_path: Path, fingerprint: str) -> None:
    with pytest.raises(RayselError, match="index_fingerprint"):
        read_manifest(_edit(tmp_path, index_fingerprint=fingerprint))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", f'{{"format_version": {FORMAT_VERSION}}}', "null"])
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
    with locked(made.folder, print) as lock:
        publish(lock, made.manifest.model_copy(update={"index_fingerprint": "newer", "files": files}))


def test_the_former_index_is_kept_for_its_readers_and_then_removed(made: Synthetic, tmp_path: Path) -> None:
    reader = raysel.open(tmp_path)
    _replace(made, tmp_path)
    assert remove_unreferenced(made.folder) == []
    assert reader.neuron("stem", 0).feature is not None
    assert remove_unreferenced(made.folder, datetime.now(UTC) + DATA_GRACE) == [made.manifest.data]
    assert not (tmp_path / made.manifest.data).exists()
    assert check_files(made.folder, read_manifest(made.folder)) == []
    assert raysel.open(tmp_path).neuron("stem", 0).feature is not None


def test_an_old_index_is_kept_from_when_it_was_replaced(made: Synthetic, tmp_path: Path) -> None:
    for path in (tmp_path / made.manifest.data).rglob("*.parquet"):
        os.utime(path, (0, 0))
    _replace(made, tmp_path)
    assert remove_unreferenced(made.folder) == []
    assert (tmp_path / made.manifest.data).exists()


@pytest.mark.parametrize(
    ("file", "grace"), [("data/dead/features/a.parquet", DATA_GRACE), ("runs/dead/state.npz", RUNS_GRACE)]
)
def test_files_of_a_dead_run_are_removed_some_time_after_their_last_write(
    made: Synthetic, tmp_path: Path, file: str, grace: timedelta
) -> None:
    made.folder.put(file, b"1")
    written, dead = datetime.now(UTC), "/".join(file.split("/")[:2])
    assert remove_unreferenced(made.folder, written + grace - 60 * _SECOND) == []
    assert remove_unreferenced(made.folder, written + grace + _SECOND) == [dead]
    assert not (tmp_path / dead).exists()
    assert check_files(made.folder, made.manifest) == []


def test_only_the_progress_of_this_run_is_removed(made: Synthetic, tmp_path: Path) -> None:
    for run in ("scan", "index", "another"):
        made.folder.put(f"runs/{run}/state.npz", b"1")
    remove_progress(made.folder, "scan", "index")
    assert [file.name for file in made.folder.list("runs")] == ["runs/another/state.npz"]
    remove_progress(made.folder, "another")
    assert not (tmp_path / "runs").exists()


def test_superseded_is_forgotten_with_its_files(made: Synthetic, tmp_path: Path) -> None:
    _replace(made, tmp_path)
    assert set(read_manifest(made.folder).superseded) == {made.manifest.index_fingerprint}
    made.folder.delete_below(made.manifest.data)
    with locked(made.folder, print) as lock:
        publish(lock, read_manifest(made.folder))
    assert read_manifest(made.folder).superseded == {}


def test_strays_beside_the_tables_are_removed(made: Synthetic, tmp_path: Path) -> None:
    made.folder.put(f"{made.manifest.data}/features/of-another-run.parquet", b"1")
    draft = tmp_path / made.manifest.data / ".unfinished-1"
    draft.write_bytes(b"half")
    assert remove_unreferenced(made.folder) == []
    gone = remove_unreferenced(made.folder, datetime.now(UTC) + DATA_GRACE + _SECOND)
    assert gone == [f"{made.manifest.data}/.unfinished-1", f"{made.manifest.data}/features/of-another-run.parquet"]
    assert not draft.exists()
    assert check_files(made.folder, made.manifest) == []


def test_what_was_never_listed_is_no_unusable_image() -> None:
    counts = Counts(neurons=1, dead=0, images=10, quarantined=3, unlisted=2, skipped=0, classes=0)
    assert counts.usable == 9
