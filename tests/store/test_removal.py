"""A whole index is removed, and what others have put beside it remains."""

from __future__ import annotations

from raysel.files import Folder
from raysel.store import files_of_others, remove_index

FINGERPRINT = "0123456789abcdef" * 2
OWN = [
    "LOCK",
    f"data/{FINGERPRINT}/features/conv1.parquet",
    f"data/{FINGERPRINT}/neurons.parquet",
    "manifest.json",
    "plan.arrows",
    f"runs/{FINGERPRINT}/snapshot",
]
OTHERS = ["data/mine.csv", "data/run-1/table.csv", "deep/manifest.json", "manifest.json.bak"]


def test_what_raysel_has_written_is_removed(folder: Folder) -> None:
    for name in OWN:
        folder.put(f"index/{name}", b"x")
    folder.put("beside/manifest.json", b"x")
    index = folder.below("index")
    assert files_of_others(index) == []
    remove_index(index)
    assert [file.name for file in folder.list()] == ["beside/manifest.json"]
    remove_index(index)


def test_other_files_remain(folder: Folder) -> None:
    for name in OWN + OTHERS:
        folder.put(name, b"x")
    assert files_of_others(folder) == OTHERS
    remove_index(folder)
    assert [file.name for file in folder.list()] == OTHERS


def test_empty_folders_go(local_folder: Folder) -> None:
    from pathlib import Path

    for name in OWN:
        local_folder.put(f"index/{name}", b"x")
    (Path(local_folder.path) / "index" / ".unfinished-0").write_bytes(b"x")
    remove_index(local_folder.below("index"))
    assert list(Path(local_folder.path).iterdir()) == []
