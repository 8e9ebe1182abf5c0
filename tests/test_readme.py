"""The README does what it says: its commands run, its Python runs, its tables are those of the index and the options.

``python -m tests.test_readme`` writes both tables anew.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from raysel.config import RunConfig
from raysel.marks import options, tables
from raysel.store import documented
from tests.chaos.cluster import one_machine
from tests.conftest import ROOT

FILE = ROOT / "README.md"
README = FILE.read_text()
COLUMNS_TABLE = re.compile(r"(?<=<!-- columns: neurons -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
OPTIONS_TABLE = re.compile(r"(?<=<!-- options -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)
    for language, block in BLOCKS
    if language == "sh"
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip()
]
ELSEWHERE = {
    ("make", "demo"): "the fixture demo_index runs what it calls; the test below holds the two together",
    ("make", "test"): "this is it",
    ("ray", "job"): "tests/jobs submits the job to a head of its own",
    ("raysel", "serve"): "it ends with Ctrl-C only; tests/explorer serves",
    ("raysel", "submit"): "tests/jobs, too",
    ("raysel", "doctor"): "tests/jobs, too",
}


def block(language: str, containing: str) -> str:
    found = [text for kind, text in BLOCKS if kind == language and containing in text]
    assert len(found) == 1, f"{len(found)} {language} blocks with {containing!r}"
    return found[0]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory, demo_index) -> Path:
    """A folder as its reader has it: the demo's index, photographs in class folders, a table, weights, a network."""
    import torchvision

    home = tmp_path_factory.mktemp("newcomer")
    (home / ".demo").mkdir()
    (home / ".demo" / "index").symlink_to(demo_index)
    random = np.random.default_rng(0)
    lines = ["path,species,class"]
    for subject, number_of_class in (("cat", 281), ("dog", 207), ("fox", 277)):
        (home / "photos" / subject).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 256, (90, 120, 3), np.uint8)
            Image.fromarray(pixels).save(home / "photos" / subject / f"{number}.png")
            lines.append(f"{subject}/{number}.png,{subject}us,{number_of_class}")
    (home / "labels.csv").write_text("\n".join(lines) + "\n")
    save_file(torchvision.models.squeezenet1_1(weights=None).state_dict(), home / "squeezenet.safetensors")
    (home / "mynet.py").write_text(block("python", "def factory"))
    subprocess.run([sys.executable, "mynet.py"], cwd=home, check=True)
    (home / "checkpoints").mkdir()
    for step in (10, 20):
        subprocess.run([sys.executable, "mynet.py"], cwd=home, check=True)  # other random weights each time
        shutil.copy(home / "mynet.safetensors", home / "checkpoints" / f"step-{step}.safetensors")
    (home / "watch.toml").write_text(block("toml", 'images = "photos"'))
    (home / "animals.csv").write_text(block("csv", "child,parent"))
    (home / "run.toml").write_text(block("toml", "[scan]"))
    (home / "small.toml").write_text(block("toml", "resize"))
    return home


def test_every_command_is_run_somewhere():
    assert {command[0] for command in COMMANDS} == {"make", "raysel", "ray"}
    for command in COMMANDS:
        assert command[0] == "raysel" or tuple(command[:2]) in ELSEWHERE


@pytest.mark.parametrize("file", [FILE, ROOT / "cluster" / "README.md"], ids=["README", "cluster"])
def test_commands_that_run_elsewhere_have_these_options(file):
    """Their options exist, and so do the files that they name in this repository."""
    from raysel.cli import app

    blocks = re.findall(r"^```sh\n(.*?)^```$", file.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("raysel ")]
    elsewhere = [each for each in commands if file != FILE or tuple(each[:2]) in ELSEWHERE]
    assert elsewhere
    for command in elsewhere:
        app.parse_args(command[1:])
        assert all((ROOT / word).exists() for word in command if word.startswith("cluster/"))


def test_make_demo_runs_the_demo():
    asked = ["make", "--no-print-directory", "-n", "demo"]
    said = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1].endswith("raysel demo .demo")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_commands_run(newcomer):
    """With a Ray that is there already: starting one for each of them would be half of the time."""
    raysel = shutil.which("raysel", path=str(Path(sys.executable).parent))
    assert raysel
    with one_machine(cpus=2) as address:
        there = {**os.environ, "RAY_ADDRESS": address}
        for command in (each for each in COMMANDS if each[0] == "raysel" and tuple(each[:2]) not in ELSEWHERE):
            begin = time.monotonic()
            ran = subprocess.run([raysel, *command[1:]], cwd=newcomer, env=there, capture_output=True, text=True)
            print(f"{time.monotonic() - begin:.1f} s: {shlex.join(command)}")  # pytest shows it if the time is over
            assert ran.returncode == 0, f"{shlex.join(command)}\n{ran.stdout}\n{ran.stderr}"
            assert ran.stdout.strip(), shlex.join(command)
    assert Image.open(newcomer / "neuron.png").size > (300, 300)


@pytest.mark.slow
def test_the_python_runs(newcomer):
    code = block("python", "raysel.open")
    ran = subprocess.run([sys.executable, "-c", code], cwd=newcomer, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert all((newcomer / name).exists() for name in ("feature.png", "best-crop.png", "best-crop-large.png"))
    assert "_conv_head" in ran.stdout


def columns_table() -> str:
    """Every column of the neurons table, as the index describes it."""
    rows = [f"| `{name}` | {kind} | {text} |" for table, name, kind, text in documented() if table == "neurons"]
    return "\n".join(["| column | type | what it is |", "| --- | --- | --- |", *rows]) + "\n"


def test_the_table_of_columns_is_the_index_s_own():
    table = COLUMNS_TABLE.search(README)
    assert table
    assert table[0] == columns_table(), "run: python -m tests.test_readme"


def options_table() -> str:
    """Every option with its default and documentation, a line of its own before those of each table of the file."""
    lines, found = ["| option | default | what it does |", "| --- | --- | --- |"], tables(RunConfig)
    for table, kind in found.items():
        if table:
            lines.append(f"| **`[{table}]`** | | **{(kind.__doc__ or '').splitlines()[0]}** |")
        for name, option in options(kind).items():
            if f"{table}.{name}" not in found:
                default = "" if option.default in (None, "") else f"`{json.dumps(option.default)}`"
                lines.append(f"| `{name}` | {default} | {option.text} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def test_the_table_of_options_is_that_of_config():
    table = OPTIONS_TABLE.search(README)
    assert table
    assert table[0] == options_table(), "run: python -m tests.test_readme"
    assert all(line.count("|") == 4 for line in table[0].splitlines())


def test_the_folders_are_there():
    folders = re.findall(r"^\| (`[^|]+`) \|", README.partition("## Where things are")[2], re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", " ".join(folders)):
        assert (ROOT / name).exists(), name


if __name__ == "__main__":
    README = COLUMNS_TABLE.sub(lambda _: columns_table(), README, count=1)
    FILE.write_text(OPTIONS_TABLE.sub(lambda _: options_table(), README, count=1))
