"""``raysel index`` as a process that can be killed, or that kills itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raysel.config import RunConfig
from tests.conftest import ROOT
from tests.end_to_end.runs import BATCH, LAYERS


def typed(config: RunConfig, file: Path, address: str | None = None) -> list[str]:
    """The arguments of ``raysel`` for a run; options without a command line form are written to `file`."""
    scan = config.scan
    file.write_text(
        f"[scan]\ncall_images = {scan.call_images}\nslice_images = {scan.slice_images}\n"
        f"lost_machine_wait_s = {scan.lost_machine_wait_s}\nsnapshot_every_s = {scan.snapshot_every_s}\n"
    )
    return [
        *("index", "--config", str(file), "--out", config.out, "--images", config.source.images),
        *("--network", config.network.network, "--network-args", json.dumps(config.network.network_args)),
        *(each for layer in LAYERS for each in ("--layers", layer)),
        *("--workers", str(scan.workers), "--batch-size", str(BATCH), "--rank-depth", str(scan.rank_depth)),
        *("--n-max", str(config.derive.n_max)),
        *(("--address", address) if address else ("--num-cpus", "2")),
    ]


@contextmanager
def started(arguments: list[str], said: Path, moment: str | None = None, **more: str) -> Iterator[subprocess.Popen]:
    """Start the command with its output in the file `said`; with `moment`, it dies there (`tests.chaos.driver`)."""
    program = ("tests.chaos.driver", moment) if moment else ("raysel",)
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", **more}
    with said.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", *program, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=err,
            stderr=err,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
