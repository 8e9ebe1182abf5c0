"""``python -m tests.chaos --minutes 30 --seed S``: soaks one after another, until the time is up."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.cluster import one_machine  # sets the environment, so it comes before Ray
from tests.chaos.runs import Undisturbed, fragile_run
from tests.chaos.soak import soak
from tests.pipeline.corpus import as_folder, corpus

FAULTS = 30


def main() -> None:
    """Exit with status 0, or with a traceback after the failing seed."""
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    given = options.parse_args()
    seed = given.seed
    root = Path(tempfile.mkdtemp(prefix="raysel-soak-"))
    with one_machine(cpus=2) as address:
        undisturbed = _undisturbed(root, address)
        end = time.monotonic() + 60 * given.minutes
        while time.monotonic() < end:
            soak(undisturbed, root / str(seed), address, seed, FAULTS)
            shutil.rmtree(root / str(seed))
            seed += 1
    shutil.rmtree(root)


def _undisturbed(root: Path, address: str) -> Undisturbed:
    from raysel.files import Folder
    from raysel.store import read_manifest
    from tests.chaos.commands import started, typed

    config = fragile_run(root / "index", as_folder(corpus(per_class=60, unlabelled=20), root / "images"), root / "f")
    with started(typed(config, root / "run.toml", address), root / "said") as command:
        if command.wait():
            sys.exit((root / "said").read_text())
    return Undisturbed(config, read_manifest(Folder.at(config.out)), root / "f")


if __name__ == "__main__":
    main()
