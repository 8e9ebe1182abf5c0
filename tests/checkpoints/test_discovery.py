"""Which files are checkpoints, and their steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysel.checkpoints.checkpoint import name_of, step_of, step_pattern
from raysel.checkpoints.discovery import checkpoints_at, checkpoints_listed_by
from raysel.checkpoints.weights_content import read_content
from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.files import Folder


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("checkpoint-12.pth.tar", 12),  # timm
        ("epoch=3-step=1200.ckpt", 1200),  # Lightning
        ("epoch=3.ckpt", 3),
        ("model_7.pth", 7),  # torchvision
        ("checkpoint-500/model.safetensors", 500),  # transformers
        ("checkpoint-500/model.safetensors.index.json", 500),
        ("global_step2000/mp_rank_00.pt", 2000),  # DeepSpeed
        ("run-3/0000450.pt", 450),
        ("ckpt0009.pt", 9),
        ("resnet50_best.pth", None),
        ("resnet50-epoch-4.pth", 4),
        ("last.ckpt", None),
        ("model_best.pth.tar", None),
        ("mobilenetv3.safetensors", None),
        ("3/ckpt-73961548063927164053.pth", 3),  # a digest, which does not fit into 64 bits
    ],
)
def test_the_step_in_a_name(path: str, step: int | None) -> None:
    assert step_of(path) == step


def test_a_pattern_of_ones_own() -> None:
    pattern = step_pattern(r"it_(\d+)k")
    assert step_of("epoch-3-it_20k.pth", pattern) == 20
    assert step_of("epoch-3.pth", pattern) is None
    for wrong, fault in (("epoch", "needs one group"), ("(", "not a regular expression")):
        with pytest.raises(RayselError, match=fault):
            step_pattern(wrong)


def test_names_are_fit_for_folders() -> None:
    assert name_of("checkpoint-5.pth.tar") == "checkpoint-5"
    assert name_of("run 1/epoch=3-step=9.ckpt") == "run-1-epoch=3-step=9"
    assert name_of("../..pth") == "checkpoint"


FILES = {
    "checkpoint-2.pth.tar": b"22",
    "checkpoint-10.pth.tar": b"10",
    "last.pth.tar": b"10",
    "log.txt": b"",
    ".hidden/checkpoint-3.pth": b"3",
    "later/checkpoint-11.ckpt": b"11",
    "large/model-00001-of-00002.safetensors": b"1",
    "large/model-00002-of-00002.safetensors": b"2",
    "large/model.safetensors.index.json": b"{}",
}


@pytest.fixture
def filled(folder: Folder) -> Folder:
    """On the local disk, and in a bucket."""
    for name, content in FILES.items():
        folder.put(name, content)
    return folder


def names(found: list) -> list[tuple[str, int | None]]:
    return [(each.name, each.step) for each in found]


def test_a_folder(filled: Folder) -> None:
    """Steps in order, names without a step last, parts of several files not by themselves."""
    assert names(checkpoints_at(filled.shown)) == [
        ("checkpoint-2", 2),
        ("checkpoint-10", 10),
        ("later-checkpoint-11", 11),
        ("large-model", None),
        ("last", None),
    ]
    assert {filled.read(each.uri.partition(filled.shown + "/")[2]) for each in checkpoints_at(filled.shown)} == {
        *(FILES[name] for name in ("checkpoint-2.pth.tar", "checkpoint-10.pth.tar", "later/checkpoint-11.ckpt")),
        b"{}",
    }


def test_a_glob(filled: Folder) -> None:
    assert names(checkpoints_at(f"{filled.shown}/checkpoint-*")) == [("checkpoint-2", 2), ("checkpoint-10", 10)]
    assert names(checkpoints_at(f"{filled.shown}/*/*.ckpt")) == [("later-checkpoint-11", 11)]


def test_a_version_changes_with_the_file_and_with_its_parts(filled: Folder) -> None:
    def versions() -> dict[str, str]:
        return {each.name: each.version for each in checkpoints_at(filled.shown)}

    before = versions()
    assert versions() == before
    filled.put("last.pth.tar", b"longer")
    filled.put("large/model-00002-of-00002.safetensors", b"longer")
    changed = {name for name, version in versions().items() if version != before[name]}
    assert changed == {"last", "large-model"}


def test_what_is_not_there(tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", tmp_path / "nowhere" / "*.pth"):
        with pytest.raises(RayselError, match="no folder of checkpoints at"):
            checkpoints_at(str(place))
    assert checkpoints_at(str(tmp_path)) == []


def test_a_command_lists_them(tmp_path: Path) -> None:
    for name in ("a/model.pth", "b c/model.pth", "epoch-9.pth"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    lines = f"# of the registry\n{tmp_path}/b c/model.pth 20\n\n{tmp_path}/a/model.pth 3\n{tmp_path}/epoch-9.pth\n"
    (tmp_path / "lines").write_text(lines)
    found = checkpoints_listed_by(f"cat {tmp_path}/lines")
    assert [(Path(each.uri).relative_to(tmp_path).as_posix(), each.step) for each in found] == [
        ("a/model.pth", 3),
        ("epoch-9.pth", 9),
        ("b c/model.pth", 20),
    ]
    assert len({each.name for each in found}) == 3


def test_a_command_that_fails() -> None:
    with pytest.raises(RayselError, match="exit status 3: no such registry"):
        checkpoints_listed_by("echo no such registry >&2; exit 3")


def test_a_command_that_does_not_print_utf_8() -> None:
    (found,) = checkpoints_listed_by("printf '/gone/\\377.pth 3\\n'")
    assert (found.version, found.step) == ("unreachable", 3)
    with pytest.raises(RayselError, match="exit status 1"):
        checkpoints_listed_by("printf '\\377' >&2; exit 1")


def test_files_that_a_command_names_and_that_cannot_be_reached(tmp_path: Path) -> None:
    """They do not hold up the others, and no message repeats a secret of the command."""
    (tmp_path / "there.pth").write_bytes(b"x")
    lines = f"{tmp_path}/gone.pth 3\\n{tmp_path}/nul\\000.pth 4\\nmlflow://user:secret@host/run/5.pth 5\\n"
    found = checkpoints_listed_by(f"printf '{lines}{tmp_path}/there.pth 6\\n'")
    assert [each.step for each in found] == [3, 4, 5, 6]
    assert [each.version == "unreachable" for each in found] == [True, True, True, False]
    for each in found[:3]:
        with pytest.raises((RayselError, ValueError)) as raised:
            read_content(each.uri, NetworkConfig())
        assert "secret" not in str(raised.value)
    with pytest.raises(RayselError) as failed:
        checkpoints_listed_by("TOKEN=secret; false")
    assert "secret" not in str(failed.value)
