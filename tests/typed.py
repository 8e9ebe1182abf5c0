"""``raysel`` as a person types it: in its own process, and in a folder with a tiny network and a few images."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

_ROOT = Path(__file__).resolve().parents[1]

COLORS = ("red", "green", "blue")
IMAGES = 30
NEURONS = 10
TINY = ("--network", "tiny_network:tiny", "--images", "images")
"""Two convolutions, 6 and 4 channels, named 0 and 2; 30 images in three folders, and a text beside them."""

_NETWORK = """
import torch
from torch import nn
from raysel.config import Preprocessing

def tiny(width=6):
    torch.manual_seed(3)
    layers = nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.Conv2d(width, 4, 3), nn.ReLU()
    return nn.Sequential(*layers), Preprocessing(resize=32, crop=(32, 32))

def broken():
    raise KeyError("no such thing")

def no_network():
    return 3
"""


PROGRESS = re.compile(r"raysel (plan|scan|derive): ")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """The one line of a command that refused, without its ``raysel: ``."""
        assert self.status == 2, self
        assert self.out == "", self
        assert "Traceback" not in self.err, self
        *progress, line = self.err.splitlines()
        assert all(PROGRESS.match(each) for each in progress), self  # on a slow machine
        assert line.startswith("raysel: "), self
        return line.removeprefix("raysel: ")


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a person who has set nothing for Ray, and keeps a network in `home`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**own, "PYTHONPATH": f"{home}:{_ROOT}", "OMP_NUM_THREADS": "1", "COLUMNS": "100", **more}


def raysel(home: Path, *arguments: str, **more: str) -> Ended:
    """Run the command in the folder `home` to its end; `more` is set in its environment."""
    done = subprocess.run(
        [sys.executable, "-m", "raysel", *arguments],
        cwd=home,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=550,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def raysel_here(home: Path, *arguments: str) -> Ended:
    """As `raysel`, but in this process, which is much faster: for commands that do not start Ray."""
    from raysel.cli import main

    sys.modules.pop("tiny_network", None)
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(home),
        mock.patch.object(sys, "path", [str(home), *sys.path]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main(list(arguments))
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Ended(status, out.getvalue(), err.getvalue())


def furnish(home: Path) -> Path:
    """A network and labelled images in a folder."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "tiny_network.py").write_text(_NETWORK)
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        channel = number % len(COLORS)
        pixels = random.integers(0, 200, (40, 48, 3), dtype=np.uint8)
        pixels[..., channel] = 250
        folder = home / "images" / COLORS[channel]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (home / "images" / "about.txt").write_text("no image\n")
    return home


def copy_of(home: Path, to: Path) -> Path:
    """A folder furnished like `home`, for tests that change what is in it."""
    return Path(shutil.copytree(home, to, symlinks=True))


def marked_processes(mark: str) -> list[int]:
    """Ids of the living processes whose RAYSEL_TEST is `mark`: children inherit it, however they were started."""
    sign, found = f"RAYSEL_TEST={mark}".encode(), []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if sign in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
            except OSError:
                continue  # another user's, or it has just ended
    return found
