"""``raysel config``: the example is complete and says what the defaults are, and a file is checked in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from raysel.cli.toml import run_config
from raysel.config import Preprocessing, RunConfig
from raysel.marks import options, tables
from tests.conftest import ROOT
from tests.typed import raysel_here


@pytest.fixture
def example(tmp_path: Path) -> str:
    ended = raysel_here(tmp_path, "config", "--example")
    assert (ended.status, ended.err) == (0, "")
    return ended.out


def test_the_example_as_it_is_changes_nothing(example: str, tmp_path: Path):
    (tmp_path / "run.toml").write_text(example)
    assert run_config({}, tmp_path / "run.toml") == RunConfig()
    ended = raysel_here(tmp_path, "config", "--check", "run.toml")
    assert (ended.status, ended.out) == (0, "run.toml is valid\n")


def test_without_its_comment_signs_it_holds_the_defaults(example: str, tmp_path: Path):
    lines = [line.removeprefix("#") for line in example.splitlines() if not line.endswith("=")]
    content = "\n".join(line for line in lines if not line.startswith(" "))
    (tmp_path / "run.toml").write_text(content)
    run = run_config({}, tmp_path / "run.toml")
    assert run.network.preprocessing == Preprocessing()
    assert asdict(run) == asdict(RunConfig()) | {"network": asdict(run.network)}
    assert tomllib.loads(content)["network"].keys() >= {"layers", "preprocessing"}


def test_the_example_has_every_option_once_with_its_documentation(example: str):
    header = re.compile(r"^#?\[(.+)\]$", re.MULTILINE)
    first, *rest = header.split(example)
    parts = {"": first, **dict(zip(rest[::2], rest[1::2], strict=True))}
    found = tables(RunConfig)
    assert list(parts) == list(found)
    for table, kind in found.items():
        text = " ".join(line.removeprefix("#").strip() for line in parts[table].splitlines())
        for name, option in options(kind).items():
            if f"{table}.{name}" not in found:
                assert len(re.findall(rf"^#{name} =", parts[table], re.MULTILINE)) == 1, name
                assert f"{option.text} {name} =" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[scan]\nrank_dept = 3\n", "unknown option scan.rank_dept: did you mean rank_depth?"),
        ("[scan]\nrank_depth = 0\n", "scan.rank_depth is 0: it should be greater than 0"),
        ("[scan]\nrank_depth = 'many'\n", "scan.rank_depth is 'many'"),
        ("[network.preprocessing]\nstd = [1, 0, 1]\n", "preprocessing.std is 0: it should be greater than 0"),
        ("[source]\nimages = ['s3://key:secret@bucket']\n", "source.images is ['s3://bucket']"),
    ],
)
def test_a_fault_in_a_file_is_one_line(content: str, says: str, tmp_path: Path):
    (tmp_path / "run.toml").write_text(content)
    fault = raysel_here(tmp_path, "config", "--check", "run.toml").fault
    assert fault.startswith("run.toml: ")
    assert says in fault


def test_options_that_contradict_each_other(tmp_path: Path):
    (tmp_path / "run.toml").write_text("[derive]\nn_max = 500\n")
    fault = raysel_here(tmp_path, "config", "--check", "run.toml").fault
    assert "--n-max 500 is more than the --rank-depth 400" in fault


def test_json(tmp_path: Path):
    (tmp_path / "run.toml").write_text("[derive]\nn_max = 7\n")
    checked = raysel_here(tmp_path, "config", "--check", "run.toml", "--json")
    assert json.loads(checked.out) == {"file": "run.toml", "valid": True}
    defaults = json.loads(raysel_here(tmp_path, "config", "--example", "--json").out)
    assert defaults == json.loads(json.dumps(asdict(RunConfig())))


@pytest.mark.parametrize("arguments", [[], ["--example", "--check", "run.toml"], ["run.toml"], ["--chek", "run.toml"]])
def test_what_cannot_be_asked(arguments: list[str], tmp_path: Path):
    assert "raysel config --help" in raysel_here(tmp_path, "config", *arguments).fault


def test_a_reader_that_has_seen_enough_is_not_an_error():
    """As in ``raysel config --example | head -1``."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "raysel", "config", "--example"]
    ended = subprocess.run(command, cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (ended.returncode, ended.stderr) == (1, b"")
