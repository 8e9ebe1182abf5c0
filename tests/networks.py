"""Networks that tests name as ``tests.networks:...``, to load them in any process of a run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from raysel.config import Preprocessing

ZOO_SIZE = (24, 24)
MEAN_COLOR = (0.4, 0.5, 0.6)
STD = (0.25, 0.25, 0.25)


class Zoo(nn.Module):
    """A small network with every kind of neuron that goes wrong easily.

    ``first``: ReLU6 at its ceiling for many images; channels 3 and 7 dead. ``second``: batch norm, ReLU. ``whole``:
    sees the whole input and more. ``hot``: inf where an image is bright; channel 2 always NaN. ``clash``: inf - inf,
    NaN for some images.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 10, 5, stride=2, padding=2)
        self.second = nn.Conv2d(10, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.whole = nn.Conv2d(6, 4, 6)
        self.hot = nn.Conv2d(3, 3, 1)
        self.clash = nn.Conv2d(2, 1, 1, bias=False)
        random = torch.Generator().manual_seed(7)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=random)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5, generator=random)
        nn.init.uniform_(self.norm.running_var, 0.5, 1.5, generator=random)
        with torch.no_grad():
            self.first.weight[5:] *= 0.2  # the others can saturate
            self.first.bias[[3, 7]] = -1e3
            self.hot.weight[:] = torch.tensor([[2e38, 0, 0], [0, 2e38, 0], [torch.nan, 1, 1]])[:, :, None, None]
            self.hot.bias.zero_()
            self.clash.weight[:] = torch.tensor([1.0, -1.0])[None, :, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hot = self.hot(x)
        clash = self.clash(hot[:, :2])
        x = nn.functional.relu6(self.first(x))
        x = nn.functional.relu(self.norm(self.second(x)))
        return self.whole(x).mean() + clash.mean()


class Watched(Preprocessing):
    """Preprocessing that writes down where each image is decoded: of all that runs in a worker, decoding alone asks
    for the filter. It is equal to the plain one in every field."""

    def __getattribute__(self, name: str) -> Any:
        if name == "interpolation":
            note(vars(self)["log"], "decode")
        return super().__getattribute__(name)


def in_worker() -> bool:
    """True in a task or an actor of Ray, False in the driver or without Ray."""
    import ray
    from ray._private.worker import WORKER_MODE

    return ray.is_initialized() and ray._private.worker.global_worker.mode == WORKER_MODE


def note(log: str, event: str) -> None:
    """Append one line: event, process, actor or ``-``, its GPUs, kind of the process."""
    import ray

    if in_worker():
        context = ray.get_runtime_context()
        where = f"{context.get_actor_id() or '-'} {context.get_assigned_resources().get('GPU', 0):g} worker"
    else:
        where = "- 0 driver"
    with Path(log).open("a") as file:
        file.write(f"{event} {os.getpid()} {where}\n")


def await_others(log: str, workers: int, ahead: int | None) -> None:
    """Wait until `workers` of them have begun a forward, and the driver has taken all but `ahead` of their images."""
    limit = time.monotonic() + 300.0
    while time.monotonic() < limit:
        lines = [each.split() for each in Path(log).read_text().splitlines()]
        begun = [(each[0], each[1]) for each in lines if each[0].startswith("forward-") and each[-1] == "worker"]
        taken = sum(_number(each[0]) for each in lines if each[0].startswith("taken-"))
        far = ahead is not None and sum(_number(event) for event, _ in begun) - taken > ahead
        if not far and len({process for _, process in begun}) >= workers:
            return
        time.sleep(0.02)


def _number(event: str) -> int:
    return int(event.partition("-")[2])


def zoo(log: str | None = None, workers: int = 1, ahead: int | None = None) -> tuple[nn.Module, Preprocessing]:
    """`Zoo` on 24 x 24 pixels.

    With `log`, a file, decoding and forward passes are written down in it. The first forwards of workers wait until
    `workers` processes have begun one, so that no worker does everything before another has started. With `ahead`, all
    of them wait for the driver, which writes down what it takes as ``taken-IMAGES``: at most so many images are on
    their way to it.
    """
    network = Zoo()
    settings: dict[str, Any] = {"resize": ZOO_SIZE, "crop": None, "mean": MEAN_COLOR, "std": STD}
    if log is None:
        return network, Preprocessing(**settings)

    def passing(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        note(log, f"forward-{len(inputs[0])}")
        if in_worker():
            await_others(log, workers, ahead)

    network.first.register_forward_pre_hook(passing)
    watched = Watched(**settings)
    vars(watched)["log"] = log
    return network, watched


# Neurons whose answer is known ---------------------------------------------------------------------------------------

PATCH = 8
"""Pixels a side of what the known neurons look for."""
RED_SQUARE = np.zeros((PATCH, PATCH), dtype=bool)
RED_SQUARE[2:6, 2:6] = True
STRIPES = np.tile(np.repeat([1, -1], 2), 2)[None, :].repeat(PATCH, axis=0)
MARK = np.where(np.random.default_rng(12).permutation(PATCH * PATCH).reshape(PATCH, PATCH) % 2, 1, -1)


def known() -> tuple[nn.Module, Preprocessing]:
    """One convolution of 4 neurons over 32 x 32 pixels: a red square, vertical stripes, one mark, brightness."""
    conv = nn.Conv2d(3, 4, PATCH)
    square, stripes, mark = (
        torch.tensor(pattern, dtype=torch.float32) for pattern in (np.where(RED_SQUARE, 1, -1), STRIPES, MARK)
    )
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0] = torch.stack([square, -square / 2, -square / 2])
        conv.weight[1], conv.weight[2], conv.weight[3] = stripes / 3, mark / 3, 1 / 3 / PATCH**2
        # A full match of the mark, whose contrast is 0.4, gives 64 * 0.2 = 12.8; stripes and squares less than 10.
        conv.bias[:] = torch.tensor([0.0, -4.0, -10.0, 0.0])
    network = nn.Sequential(conv, nn.ReLU())
    return network, Preprocessing(resize=(32, 32), crop=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def interventions() -> tuple[nn.Module, Preprocessing]:
    """One convolution of 4 neurons over 32 x 32 pixels: red, mean luma, a vertical bar, a mirrored pattern."""
    conv = nn.Conv2d(3, 4, 9, bias=False)
    bar = torch.full((9, 9), -1 / 8)
    bar[:, 4] = 1
    quarter = torch.rand(5, 5, generator=torch.Generator().manual_seed(1))
    quarter = quarter + quarter.T
    half = torch.cat([quarter, quarter[:, :4].flip(1)], dim=1)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0] = 1 / 81
        conv.weight[1] = torch.tensor([0.299, 0.587, 0.114])[:, None, None] / 81
        conv.weight[2], conv.weight[3] = bar / 27, torch.cat([half, half[:4].flip(0)]) / 81
    network = nn.Sequential(conv, nn.ReLU())
    return network, Preprocessing(resize=(32, 32), crop=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


# Networks at the edge of what can be indexed -------------------------------------------------------------------------


def heads() -> tuple[nn.Module, Preprocessing]:
    """Two fully connected layers behind one convolution, the second wider: both are equally deep."""
    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module("conv", nn.Conv2d(3, 4, 3))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", nn.Flatten())
    network.add_module("narrow", nn.Linear(4, 3))
    network.add_module("wide", nn.Linear(3, 5))
    return network, Preprocessing(resize=(32, 32), crop=None)


def nothing() -> tuple[nn.Module, Preprocessing]:
    """A convolution of 4 neurons that no image activates."""
    conv = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.fill_(-1.0)
    return nn.Sequential(conv, nn.ReLU()), Preprocessing(resize=(32, 32), crop=None)
