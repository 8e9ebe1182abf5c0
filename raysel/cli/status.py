"""``raysel status``: how far the run of an index is, from its folder alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from raysel.cli.arguments import AsJson, IndexPlace

if TYPE_CHECKING:
    from raysel.pipeline.operations.status import RunStatus


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
    """The status as JSON: ``seconds_left`` and the other numbers are null where nothing is known."""
    holder = found.lock.holder if found.lock else None
    doing = (holder and holder.doing) or {}
    done, total, saved = doing.get("done"), doing.get("total"), found.scans[0] if found.scans else None
    if saved and not doing and found.state == "stopped":
        doing = {"stage": "scan" if saved.done < saved.images else "derive", "unit": "images"}
        done, total = saved.done, saved.images
    rate = doing.get("rate") if found.state == "running" else None
    published = found.published
    return {
        "index": found.index,
        "state": found.state,
        "stage": doing.get("stage"),
        "unit": doing.get("unit"),
        "done": done,
        "total": total,
        "coverage": round(done / total, 6) if done is not None and total else None,
        "rate": rate,
        "seconds_left": round((total - done) / rate, 1) if rate and total and done is not None else None,
        "lock": found.lock
        and {
            "alive": found.lock.alive,
            **({"host": holder.host, "pid": holder.pid, "since": holder.since} if holder else {}),
        },
        "saved_scans": [
            {"fingerprint": scan.fingerprint, "done": scan.done, "images": scan.images, "saved": str(scan.saved)}
            for scan in found.scans
        ],
        "saved_chunks": found.chunks,
        "published": published
        and {
            "created": str(published.created),
            "fingerprint": published.index_fingerprint,
            **published.counts.model_dump(),
        },
    }


def _lines(facts: dict[str, Any]) -> dict[str, str]:
    advice = "; the same command resumes it" if facts["state"] == "stopped" else ""
    lines = {"index": facts["index"], "state": facts["state"] + advice}
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
    for scan in facts["saved_scans"]:
        lines["saved"] = f"scan of {scan['done']:,} of {scan['images']:,} images at {scan['saved']}"
        break
    if facts["saved_chunks"]:
        lines["derived"] = f"{facts['saved_chunks']:,} chunks"
    if published := facts["published"]:
        counts = f"{published['neurons']:,} neurons over {published['images']:,} images"
        lines["published"] = f"{counts}, {published['created']}"
    return lines
