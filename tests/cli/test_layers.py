"""``raysel layers``: the table of a network's taps."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.typed import furnish, raysel_here

FIELD = ["rf_size", "rf_height", "rf_width", "rf_stride", "rf_offset", "rf_stride_x", "rf_offset_x"]
KEYS = ["layer", "channels", "map", *FIELD, "exact", "reason", "tap"]
SHOWN = ["layer", "channels", "map", "rf_size", "rf_stride", "rf_offset", "tap"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("layers"))


@pytest.fixture
def type_in(folder: Path):
    """Types a command in a folder with ``tiny_network.py``, in this process."""
    return partial(raysel_here, folder, "layers")


def test_vgg_m_without_weights(type_in):
    """Receptive fields: the paper's Fig. 3. Strides by hand: 2, 2 x 2 x 2, and as much again for the second pooling."""
    ended = type_in("chatfield:vgg-m", "--json")
    assert (ended.status, ended.err) == (0, "")
    rows = json.loads(ended.out)
    assert [list(row) for row in rows] == [KEYS] * 5
    assert [row["layer"] for row in rows] == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert [row["rf_size"] for row in rows] == [7, 27, 75, 107, 139]
    assert [row["rf_stride"] for row in rows] == [2, 8, 16, 16, 16]
    assert [row["map"] for row in rows] == [[109, 109], [26, 26], *[[13, 13]] * 3]
    assert {(row["exact"], row["tap"]) for row in rows} == {(True, "relu")}


def test_the_table_for_people(type_in):
    ended = type_in("tiny_network:tiny", "--network-args", '{"width": 5}')
    assert (ended.status, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0] == SHOWN
    assert lines[1] == ["0", "5", "15", "x", "15", "3", "2", "0", "relu"]
    assert lines[2] == ["2", "4", "13", "x", "13", "7", "2", "0", "relu"]
    assert ended.out.endswith("2 layers, 9 neurons, images of 32 x 32 pixels\n")


def test_layers_taps_and_preprocessing(type_in, folder: Path):
    (folder / "crop.toml").write_text("resize = 60\ncrop = [48, 52]\n")
    arguments = ("tiny_network:tiny", "--layers", "2", "--tap", "convolution", "--json")
    [row] = json.loads(type_in(*arguments, "--preprocessing", "crop.toml").out)
    assert (row["layer"], row["map"], row["tap"]) == ("2", [21, 23], "convolution")
    [row] = json.loads(type_in(*arguments).out)
    assert row["map"] == [13, 13]


def test_blocks(type_in):
    """`tests.network.residual:residual`: a stem of 3 x 3 with stride 2, two kernels of 3 x 3, and so on."""
    arguments = ("tests.network.residual:residual", "--layers", "blocks", "--layers", "stem")
    rows = json.loads(type_in(*arguments, "--json").out)
    assert [(row["layer"], row["tap"]) for row in rows[:3]] == [
        ("stem", "convolution"),
        ("stage.0", "sum + relu"),
        ("stage.1", "output of Block"),
    ]
    assert [(row["map"], row["channels"], row["rf_size"], row["rf_stride"]) for row in rows[:3]] == [
        ([20, 24], 4, 3, 2),
        ([20, 24], 4, 11, 2),
        ([10, 12], 4, 23, 4),
    ]
    lines = type_in(*arguments).out.splitlines()
    assert lines[2].split() == ["stage.0", "4", "20", "x", "24", "11", "2", "-5", "sum", "+", "relu"]
    assert lines[-1] == "10 layers, 49 neurons, images of 40 x 48 pixels"


def test_convolutions_of_gates_are_left_out(type_in):
    arguments = ("tests.network.residual:residual", "--network-args", '{"distract": true}')
    ended = type_in(*arguments)
    assert ended.err == (
        "raysel: convolutions of channel gates are left out (4); "
        "--layers '*.low' --layers '*.high' --layers '*.low#2' --layers '*.high#2' reads them\n"
    )
    assert "distractors.low" not in ended.out
    ended = type_in(*arguments, "--layers", "*.low", "--layers", "*.high")
    assert [line.split()[0] for line in ended.out.splitlines()[1:3]] == ["distractors.low", "distractors.high"]


def test_a_bound_is_told(type_in):
    """A transposed convolution's field differs from position to position."""
    ended = type_in("tests.network.small:upsampled")
    assert [("<=" in line) for line in ended.out.splitlines()[1:4]] == [False, True, True]


def test_a_local_field_and_a_rectangle_are_named(type_in):
    """`tests.network.small:squeezed`: a kernel of 3 x 7 before a gate, and one of 3 x 3 with stride 2 behind it."""
    ended = type_in("tests.network.small:squeezed")
    lines = ended.out.splitlines()
    assert [("3 x 7 " in lines[1]), ("5 x 9 (local)" in lines[2])] == [True, True]
    rows = json.loads(type_in("tests.network.small:squeezed", "--json").out)
    assert [(row["rf_size"], row["rf_height"], row["rf_width"]) for row in rows] == [(7, 3, 7), (9, 5, 9)]
    assert [(row["exact"], row["reason"]) for row in rows] == [
        (True, None),
        (False, "local: without channel gates and norms over the map"),
    ]
    assert (rows[1]["rf_offset"], rows[1]["rf_offset_x"]) == (-2, -4)


def test_effective_beside_theoretical(type_in):
    """The kernel of `tests.network.small.peaked` holds 96.4 % of its energy in 5 x 5 of its 7 x 7."""
    [row] = json.loads(type_in("tests.network.small:peaked", "--effective", "--json").out)
    assert list(row) == [*KEYS, "effective_size", "effective_stride", "effective_offset"]
    assert (row["rf_size"], row["rf_stride"], row["rf_offset"]) == (7, 2, -3)
    assert (row["effective_size"], row["effective_stride"], row["effective_offset"]) == (5, 2, -2)
    assert "effective_size" in type_in("tests.network.small:peaked", "--effective").out.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["torchvision:resnet18", "--effective"], "--weights random"),
        (["torchvision:resnet19"], "did you mean"),
        (["tiny_network:tiny", "--layers", "x*"], "no layer matches 'x*'"),
        (["tiny_network:tiny", "--tap", "nowhere"], '"nowhere" for --tap'),
        (["tiny_network:tiny", "--network-args", "3"], "--network-args"),
        (["tiny_network:tiny", "--preprocessing", "none.toml"], "cannot read none.toml"),
        (["tiny_network:tiny", "--preprocessing", "misspelt.toml"], "did you mean resize"),
        (["tiny_network:tiny", "--preprocessing", "wrong.toml"], "wrong.toml: crop is 3"),
        ([], "NETWORK"),
    ],
)
def test_what_cannot_be_listed(type_in, folder: Path, arguments, says):
    (folder / "misspelt.toml").write_text("resise = 3\n")
    (folder / "wrong.toml").write_text("crop = 3\n")
    assert says in type_in(*arguments).fault
