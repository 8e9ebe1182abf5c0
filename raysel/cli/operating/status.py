"""``raysel status``: how far the run of an index is, from its folder alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from raysel.cli.arguments import AsJson, IndexPlace

if TYPE_CHECKING:
    from raysel.pipeline.operations.status import RunStatus
    from raysel.store import LockSeen


def status(index: IndexPlace, /, *, as_json: AsJson = False) -> None:
    """Show the status."""
    from raysel.pipeline.operations.status import run_status

    facts = _facts(run_status(index))
    if as_json:
        print(json.dumps(facts))
        return
    for name, text in _lines(facts).items():
        print(f"{name:<10} {text}")


def _facts(found: RunStatus) -> dict[str, Any]:
    """The status as JSON, with null where nothing is known."""
    doing, published, left = found.doing, found.published, found.seconds_left
    return {
        "index": found.index,
        "state": found.state,
        "stage": doing and doing.stage,
        "unit": doing and doing.unit,
        "done": doing and doing.done,
        "total": doing and doing.total,
        "coverage": round(doing.done / doing.total, 6) if doing and doing.total else None,
        "rate": doing.rate if doing and found.state == "running" else None,
        "seconds_left": None if left is None else round(left, 1),
        "lock": found.lock and _lock(found.lock),
        "saved_scans": [{**asdict(scan), "saved": scan.saved.isoformat()} for scan in found.scans],
        "saved_chunks": found.chunks,
        "published": published
        and {
            "created": published.created.isoformat(),
            "fingerprint": published.index_fingerprint,
            **published.counts.model_dump(),
        },
    }


def _lock(seen: LockSeen) -> dict[str, Any]:
    holder = seen.holder
    who = {"host": holder.host, "pid": holder.pid, "since": holder.since} if holder else {}
    return {"alive": seen.alive, **who}


def _lines(facts: dict[str, Any]) -> dict[str, str]:
    """Heading -> text."""
    lines = {"index": facts["index"], "state": facts["state"]}
    if facts["state"] == "stopped":
        lines["state"] += "; the same command resumes it"
    if facts["stage"]:
        of_total = f" of {facts['total']:,}" if facts["total"] else ""
        share = f" ({facts['coverage']:.1%})" if facts["coverage"] is not None else ""
        lines["stage"] = f"{facts['stage']}: {facts['done']:,}{of_total} {facts['unit']}{share}"
    if facts["rate"]:
        left = f", {facts['seconds_left']:,.0f} s left" if facts["seconds_left"] is not None else ""
        lines["rate"] = f"{facts['rate']:,.1f} {facts['unit']}/s{left}"
    if lock := facts["lock"]:
        owner = f"process {lock['pid']} on {lock['host']}, since {lock['since']}" if "pid" in lock else "unreadable"
        lines["lock"] = f"{owner} ({'alive' if lock['alive'] else 'no sign of life'})"
    if facts["saved_scans"]:
        scan = facts["saved_scans"][0]
        lines["saved"] = f"scan of {scan['done']:,} of {scan['images']:,} images at {scan['saved']}"
    if facts["saved_chunks"]:
        lines["derived"] = f"{facts['saved_chunks']:,} chunks"
    if published := facts["published"]:
        counts = f"{published['neurons']:,} neurons over {published['images']:,} images"
        lines["published"] = f"{counts}, {published['created']}"
    return lines
