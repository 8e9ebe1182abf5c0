"""``raysel doctor``: whether the machines are fit for a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson


def doctor(
    *,
    address: Annotated[str | None, Parameter(metavar="ADDRESS")] = None,
    out: Annotated[str | None, Parameter(metavar="PATH")] = None,
    as_json: AsJson = False,
) -> int:
    """Check the machines. Returns 1 if there is something to do.

    Args:
        address: Cluster to check: its dashboard (http://HEAD:8265), host:port, or auto. By default $RAY_ADDRESS, else
            this machine alone.
        out: Folder or bucket for indexes, where each machine tries put, get and conditional put. It leaves nothing
            behind.
    """
    from raysel.pipeline.operations.doctor import examine

    checks = examine(address, out)
    ok = all(check.ok for check in checks)
    if as_json:
        print(json.dumps({"ok": ok, "checks": [asdict(check) for check in checks]}))
    else:
        width = max(len(check.machine) for check in checks)
        for check in checks:
            print(f"{'ok ' if check.ok else 'FIX'} {check.machine:<{width}} {check.check}: {check.detail}")
    return 0 if ok else 1
