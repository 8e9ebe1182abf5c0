"""The options of `raysel.config` on the command line: all of them, under their names, with their documentation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from raysel.cli.options import RunOptions
from raysel.cli.toml import run_config
from raysel.config import Preprocessing, RunConfig
from raysel.marks import options
from tests.options import OPTIONS, STAGES, another_value, with_option
from tests.typed import Ended, raysel

app = App(result_action="return_value", exit_on_error=False)


@app.default
def parsed(typed: RunOptions = None) -> RunConfig:
    return run_config(typed or {}, None)


def spelled(option: str, value: object, folder: Path) -> list[str]:
    """The option and its value as a person types them."""
    if isinstance(value, bool):
        return [option]
    if isinstance(value, tuple):
        return [text for each in value for text in (option, each)]
    if isinstance(value, Preprocessing):
        (folder / "own.toml").write_text(f"resize = {value.resize}\n")
        return [option, str(folder / "own.toml")]
    return [option, json.dumps(value) if isinstance(value, dict) else str(value)]


@pytest.mark.parametrize(("stage", "name"), OPTIONS)
def test_every_option_is_typed_under_its_name(stage, name, tmp_path):
    value = another_value(stage, name)
    assert app(spelled(f"--{name.replace('_', '-')}", value, tmp_path)) == with_option(stage, name, value)


def test_other_spellings():
    assert app([]) == RunConfig()
    assert app(["--out", "x", "--replace"]) == RunConfig(out="x", replace=True)
    assert app(["--layers", "a", "--layers", "b*"]).network.layers == ("a", "b*")
    assert app(["--snapshot-every", "5"]).scan.snapshot_every_s == 5
    assert app(["--snapshot-every=5", "--actor-restarts", "-1"]).scan.snapshot_every_s == 5


@pytest.fixture(scope="module")
def helped(tmp_path_factory) -> Ended:
    return raysel(tmp_path_factory.mktemp("help"), "index", "--help", COLUMNS="80")


def test_help_lists_every_option_by_stage(helped):
    assert (helped.status, helped.err) == (0, "")
    assert max(map(len, helped.out.splitlines())) <= 80
    titles = re.findall(r"^╭─ (\w+) ─", helped.out, re.MULTILINE)
    assert titles == ["Options", *(stage.capitalize() for stage in STAGES)]
    panels = dict(zip(titles, re.split(r"^╭─ \w+ ─+╮$", helped.out, flags=re.MULTILINE)[1:], strict=True))
    for stage, name in OPTIONS:
        assert f"--{name.replace('_', '-')} " in panels[stage.capitalize()]


def test_help_is_the_documentation_of_the_fields(helped):
    words = " ".join(re.sub(r"[│╭╰─╮╯]", " ", helped.out).split())
    for name in ("n_max", "cache_gb", "color_space"):
        option = options(STAGES["derive"])[name]
        assert option.text.replace("`", "") in words
        assert f"[default: {option.default}]" in words


def test_help_of_the_program_imports_nothing_heavy():
    code = "import sys, atexit, raysel.cli as cli; atexit.register(lambda: print(*sys.modules)); cli.main(['--help'])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    usage, modules = ran.stdout.rstrip().rsplit("\n", 1)
    for command in ("index", "derive", "plan", "layers", "find", "show", "verify", "demo", "config", "bench"):
        assert f" {command} " in usage
    assert not {"ray", "torch", "numpy", "pyarrow", "pydantic"} & set(modules.split())
