"""Faults that kill or hold the workers of a run when a test says so, by files in a folder.

A file ``EVENT.ACTION`` holds a number: the action strikes at the first event after so many. Events are ``start``,
``actor-decode`` and ``forward`` in an actor, and ``read`` and ``task-decode`` in a task. Actions: ``exit`` ends one
process at once, as a crash does; ``hold`` makes every process wait at the event as long as the file exists.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from raysel.config import Preprocessing
from tests.networks import Watched, in_worker, zoo

EXIT_STATUS = 9


def set_fault(folder: Path, event: str, action: str, after: int = 0) -> Path:
    """Let `action` strike at the first `event` after `after` others; return the fault's file."""
    folder.mkdir(exist_ok=True)
    fault = folder / f"{event}.{action}"
    draft = folder / f"draft-{event}"
    draft.write_text(str(after))
    return draft.rename(fault)


def note(log: Path, event: str) -> None:
    """Append a line: event, process, actor or ``-``, node; in the driver event, process, ``- driver``."""
    import ray

    if in_worker():
        context = ray.get_runtime_context()
        where = f"{context.get_actor_id() or '-'} {context.get_node_id()}"
    else:
        where = "- driver"
    with log.open("a") as file:
        file.write(f"{event} {os.getpid()} {where}\n")


def events(log: Path) -> list[list[str]]:
    """(event, process, actor, node) of every line of a log."""
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def count(log: Path) -> Counter[str]:
    """How often each event happened in workers."""
    return Counter(event for event, *_, node in events(log) if node != "driver")


def pass_by(folder: Path, event: str) -> None:
    """Log the event, and let the faults strike that are due."""
    log = folder / "log"
    note(log, event)
    if not in_worker():
        return
    for action in ("exit", "hold"):
        _strike(folder / f"{event}.{action}", event, log)


def _strike(fault: Path, event: str, log: Path) -> None:
    try:
        after = int(fault.read_text())
    except FileNotFoundError:
        return  # no such fault, or it has struck another process
    if count(log)[event] <= after:
        return
    if fault.suffix == ".exit":
        try:
            fault.rename(fault.with_suffix(".struck"))
        except FileNotFoundError:
            return
        note(log, f"died-in-{event}")
        os._exit(EXIT_STATUS)
    note(log, f"held-in-{event}")
    while fault.exists():
        time.sleep(0.02)


class Fragile(Watched):
    """Preprocessing that calls `pass_by` at every image that is decoded; see `Watched`."""

    def __getattribute__(self, name: str) -> Any:
        if name == "interpolation":
            import ray

            folder = Path(vars(self)["faults"])
            in_actor = in_worker() and ray.get_runtime_context().get_actor_id()
            pass_by(folder, "actor-decode" if in_actor else "task-decode")
        return Preprocessing.__getattribute__(self, name)


def fragile(faults: str) -> tuple[nn.Module, Preprocessing]:
    """The zoo, with a `pass_by` of the folder `faults` in its start, forward passes and decoding."""
    if in_worker():
        pass_by(Path(faults), "start")
    network, plain = zoo()

    def passing(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if not isinstance(inputs[0], FakeTensor):  # tracing
            pass_by(Path(faults), "forward")

    network.first.register_forward_pre_hook(passing)
    preprocessing = Fragile(**{name: getattr(plain, name) for name in plain.__dataclass_fields__})
    vars(preprocessing)["faults"] = faults
    return network, preprocessing
