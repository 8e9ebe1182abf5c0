"""A small CNN that is trained for real, and its checkpoints."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from raysel.config import Preprocessing
from tests.networks import in_worker

SIZE = 32
CLASSES = ("blue-stripes", "green-discs", "red-discs", "yellow-stripes")
PER_CLASS = 15
STEPS = (0, 5, 10, 20, 64, 160)
"""Steps of training after which a checkpoint is written."""
CHANNELS = {"0": 8, "3": 12}
_COLORS = {"red": (210, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 210), "yellow": (220, 200, 40)}


def small(log: str | None = None) -> tuple[nn.Module, Preprocessing]:
    """Two convolutions of 8 and 12 neurons, and a classifier.

    With `log`, a file, each forward pass in a worker is a line with the process id in it, and waits while a file of the
    same name with the suffix ``.hold`` is there.
    """
    torch.manual_seed(11)
    network = nn.Sequential(
        nn.Conv2d(3, CHANNELS["0"], 7, padding=3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(CHANNELS["0"], CHANNELS["3"], 5, padding=2),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS["3"], len(CLASSES)),
    )
    if log is not None:
        network[0].register_forward_pre_hook(lambda *_: _note(Path(log)))
    return network, Preprocessing(resize=(SIZE, SIZE), crop=None, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def _note(log: Path) -> None:
    if in_worker():
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        while log.with_suffix(".hold").exists():
            time.sleep(0.05)


def draw_images(folder: Path) -> np.ndarray:
    """60 images in class folders; returns them as uint8 [60, 32, 32, 3], class by class."""
    random, drawn = np.random.default_rng(4), []
    y, x = np.mgrid[:SIZE, :SIZE]
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = random.normal(random.integers(60, 190), 18, (SIZE, SIZE, 1)) + random.normal(0, 8, (SIZE, SIZE, 3))
            if "stripes" in name:
                angle, phase = random.uniform(0, np.pi), random.uniform(0, 6)
                shape = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.9 + phase) > 0.2
            else:
                row, column = random.integers(9, SIZE - 9, 2)
                shape = (y - row) ** 2 + (x - column) ** 2 < random.integers(3, 5) ** 2
            pixels[shape] = _COLORS[name.partition("-")[0]] + random.normal(0, 14, 3)
            drawn.append(np.clip(pixels, 0, 255).astype(np.uint8))
            Image.fromarray(drawn[-1]).save(folder / name / f"{number:02}.png")
    return np.stack(drawn)


def train(images: np.ndarray, folder: Path) -> list[Path]:
    """Train the network, and write ``checkpoint-N.pth.tar`` as timm does, after each of `STEPS`."""
    folder.mkdir(parents=True)
    network, options = small()
    labels = torch.arange(len(CLASSES)).repeat_interleave(PER_CLASS)
    inputs = (torch.tensor(images).permute(0, 3, 1, 2) / 255 - options.mean[0]) / options.std[0]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    written = []
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            written.append(folder / f"checkpoint-{step}.pth.tar")
            torch.save({"epoch": step, "state_dict": network.state_dict()}, written[-1])
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), labels).backward()
        optimizer.step()
    right = float((network(inputs).argmax(1) == labels).float().mean())
    assert right > 0.9, f"the network has not learned: {right:.0%} of the images are right"
    return written
