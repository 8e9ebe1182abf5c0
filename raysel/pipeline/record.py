"""What a run leaves written about itself: the manifest."""

from __future__ import annotations

import platform
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any

import numpy as np

from raysel.config import RunConfig
from raysel.files import absolute_if_exists, redact_uri
from raysel.images import DECODER, ImagesList, Source
from raysel.network import Network, Tap
from raysel.pipeline.derive.driver import Derived
from raysel.pipeline.fingerprint import Fingerprints, tap_record
from raysel.pipeline.scan.driver import forward_batch
from raysel.pipeline.scan.state import RunningState
from raysel.store import Counts, Manifest, NetworkRecord, SourceRecord

_STAGES = ("source", "network", "scan", "derive")
_PATHS = (
    ("source", "labels"),
    ("source", "label_map"),
    ("source", "classes"),
    ("network", "network"),
    ("network", "weights"),
)
"""Options that may be a local file; a network may be one, too (``.pt2``, ``.mat``)."""
_NO_MATTER = {"workers", "gpus", "device", "call_images", "slice_images", "seed", "cache_gb"} | {
    "snapshot_every_s",
    "wait_for_min_actors_s",
    "no_progress_timeout_s",
    "lost_machine_wait_s",
    "actor_restarts",
    "task_retries",
}
"""Options that change nothing in an index; `gpus` does through the batch that it implies, which is named itself."""
_PACKAGES = ("raysel", "ray", "torch", "torchvision", "numpy", "pyarrow", "pillow")


def build_manifest(
    config: RunConfig,
    source: Source,
    network: Network,
    taps: tuple[Tap, ...],
    images: ImagesList,
    fingerprints: Fingerprints,
    state: RunningState,
    derived: Derived,
    seconds: dict[str, float],
) -> Manifest:
    """The manifest of a finished run; its list of files is still short of the tables. `taps`: as crops were cut."""
    return Manifest(
        scan_fingerprint=fingerprints.scan,
        index_fingerprint=fingerprints.index,
        config=plain(config, source),
        network=NetworkRecord(
            name=network.name,
            weights=network.weights_digest,
            taps=_taps(network, taps),
            preprocessing=asdict(network.preprocessing),
        ),
        source=SourceRecord(
            uri=redact_uri(source.uri),
            kind=source.kind,
            digest=images.digest,
            decoder=DECODER,
            shards=len(images.shards),
        ),
        counts=Counts(
            neurons=len(derived.neurons),
            dead=int(np.count_nonzero(derived.neurons["dead"].to_numpy())),
            images=len(images.images),
            quarantined=len(state.quarantine) + len(images.faults),
            skipped=images.skipped,
            classes=len(images.classes),
        ),
        coverage=state.done / len(images.images),
        software={"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        stages={name: round(spent, 3) for name, spent in seconds.items()},
        counters=_counters(config, state, derived),
        files=derived.files,
    )


def _taps(network: Network, cut: tuple[Tap, ...]) -> dict[str, Any]:
    """Every tap with its theoretical field, and with the effective one where crops were cut to that."""
    records = {tap.layer: tap_record(tap) for tap in network.taps}
    for before, tap in zip(network.taps, cut, strict=True):
        if tap is not before:
            field = tap.receptive_field
            records[tap.layer]["effective"] = {
                "rf_size": field.size,
                "rf_stride": field.stride,
                "rf_offset": field.offset,
            }
    return records


def plain(config: RunConfig, source: Source) -> dict[str, Any]:
    """The configuration as data that can be used again from any folder, without secrets."""
    options = {name: asdict(getattr(config, name)) for name in _STAGES}
    options["source"]["images"] = redact_uri(source.uri)
    for stage, name in _PATHS:
        options[stage][name] = _from_anywhere(options[stage][name])
    preprocessing = options["network"]["preprocessing"]
    if preprocessing is not None:
        preprocessing["average_image"] = _from_anywhere(preprocessing["average_image"])
    return options


def differences(there: Manifest, config: RunConfig) -> str:
    """The settings in which a published index differs from `config`, in a few words; empty if there are none."""
    found = []
    for stage in _STAGES:
        before = there.config.get(stage, {})
        for field in fields(getattr(config, stage)):
            now = _as_json(getattr(getattr(config, stage), field.name))
            if field.name in _NO_MATTER or field.name not in before:
                continue
            if before[field.name] != now and not _same_place(before[field.name], now):
                found.append(f"{field.name} {before[field.name]}, now {now}")
    return "; ".join(found[:3])


def _counters(config: RunConfig, state: RunningState, derived: Derived) -> dict[str, int | float]:
    return {
        "scan.batch": forward_batch(config.scan),
        "scan.images": state.scanned,
        "scan.candidates_sent": state.candidates_sent,
        "scan.candidates_bound": round(state.candidates_bound),
        "scan.floor_lag": state.floor_lag,
        "scan.decode_s": round(state.decode_s, 3),
        "scan.forward_s": round(state.forward_s, 3),
        "derive.images_needed": derived.images_needed,
        "derive.images_fetched": derived.tally.fetched,
        "derive.images_decoded": derived.tally.decoded,
        "derive.bytes_read": derived.tally.bytes_read,
        "derive.crops": derived.crops,
        "derive.kernel_s": round(derived.kernel_s, 3),
    }


def _from_anywhere(path: str | None) -> str | None:
    """A local path made absolute, so that the index can be verified from another folder; a URI without secrets."""
    return path and redact_uri(absolute_if_exists(path))


def _same_place(before: Any, now: Any) -> bool:
    return isinstance(now, str) and isinstance(before, str) and _from_anywhere(now) == before


def _as_json(value: Any) -> Any:
    return (
        list(value) if isinstance(value, tuple) else asdict(value) if hasattr(value, "__dataclass_fields__") else value
    )
