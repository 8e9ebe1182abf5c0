"""Runs one contender once: ``python -m raysel.bench.contenders NAME FOLDER``. The folder has its job, and gets its
report."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from raysel.bench.contenders.report import contender
from raysel.bench.scan_job import ScanJob
from raysel.errors import RayselError


def main(name: str, folder: Path) -> None:
    """Runs the contender; an error that the user can correct is one line on stderr."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that contexts end: a local Ray has a folder
    job = ScanJob.from_json((folder / "job.json").read_text())
    settings = json.loads((folder / "settings.json").read_text())
    try:
        report = contender(name)(job, settings, folder)
    except RayselError as error:
        sys.exit(str(error))
    if report.top is not None:
        np.savez(folder / "top.npz", **report.top._asdict())
    (folder / "report.json").write_text(json.dumps({**asdict(report), "top": None}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
