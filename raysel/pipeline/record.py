"""The manifest of a run: its configuration, network, source, counts and timings."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from raysel.config import NetworkConfig, Preprocessing, RunConfig
from raysel.errors import RayselError
from raysel.files import absolute_if_exists, absolute_uri, redact_uri
from raysel.images import DECODER
from raysel.marks import Enters, map_paths, options
from raysel.neurons import Tap, field_data, field_of
from raysel.pipeline.context import NetworkFacts, Run
from raysel.pipeline.derive.stage import Derived
from raysel.pipeline.fingerprint import tap_record
from raysel.pipeline.scan.layout import forward_batch
from raysel.pipeline.scan.state import RunningState
from raysel.selectivity import plugin_versions
from raysel.store import Counts, Manifest, NetworkRecord, SourceRecord, recorded_taps

_STAGES = ("source", "network", "scan", "derive")
if TYPE_CHECKING:
    from raysel.network import Network

_GONE = ("wait_for_min_actors_s",)
"""Options of [scan] that earlier indexes record and that changed no result."""
_PACKAGES = ("raysel", "ray", "torch", "torchvision", "numpy", "pyarrow", "pillow")


def build_manifest(run: Run, state: RunningState, derived: Derived) -> Manifest:
    """The manifest of a finished run. Its list of files has those of derive only."""
    network, images = run.network, run.images
    return Manifest(
        scan_fingerprint=run.fingerprints.scan,
        index_fingerprint=run.fingerprints.index,
        config=as_recorded(run.config),
        network=NetworkRecord(
            name=network.name,
            weights=network.weights_digest,
            taps=_taps(network, derived.taps, run.config.derive.receptive_field),
            preprocessing=asdict(network.preprocessing),
        ),
        source=SourceRecord(
            uri=redact_uri(run.source.uri),
            kind=run.source.kind,
            digest=images.digest,
            decoder=DECODER,
            shards=len(images.shards),
        ),
        counts=Counts(
            neurons=len(derived.neurons),
            dead=int(np.count_nonzero(derived.neurons["dead"].to_numpy())),
            images=len(images.images),
            quarantined=len(state.quarantine) + len(images.faults),
            unlisted=len(images.faults),
            skipped=images.skipped,
            classes=len(images.classes),
        ),
        coverage=state.done / len(images.images),
        software={
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            **plugin_versions(),
        },
        stages={name: round(spent, 3) for name, spent in run.reporter.seconds.items()},
        counters=_counters(run.config, state, derived),
        files=derived.files,
    )


def _taps(network: NetworkFacts, cut: tuple[Tap, ...], kind: str) -> dict[str, Any]:
    """Each tap with its theoretical receptive field; its ``fields`` have all that `recorded_network` needs."""
    records = {tap.layer: tap_record(tap) | tap.receptive_field.record() for tap in network.taps}
    effective = network.effective or (tuple(tap.receptive_field for tap in cut) if kind == "effective" else None)
    for number, tap in enumerate(network.taps):
        fields = {"theoretical": tap.receptive_field, "local": tap.local, "effective": effective and effective[number]}
        data = {name: field_data(field) for name, field in fields.items() if field}
        records[tap.layer] |= {"depth": tap.depth, "fields": data}
    return records


def recorded_network(manifest: Manifest) -> NetworkFacts:
    """The network of an index, as its manifest has it."""
    record = manifest.network
    fields = [tap["fields"] for tap in record.taps.values()]
    effective = tuple(field_of(each["effective"]) for each in fields) if "effective" in fields[0] else None
    preprocessing = TypeAdapter(Preprocessing).validate_python(record.preprocessing)
    return NetworkFacts(record.name, record.weights, preprocessing, recorded_taps(manifest), effective)


def indexed_network(manifest: Manifest, weights: str | None = None) -> tuple[Network, str]:
    """Load the network of an index.

    Args:
        manifest: the manifest of the index.
        weights: where the weights are now, if they were moved.

    Returns:
        (the network, how it differs from what was indexed: empty if it does not).

    Raises:
        RayselError: it cannot be loaded.
    """
    from raysel.network import load  # takes seconds, and most of what needs a manifest needs no network

    options = manifest.config["network"] | ({"weights": weights} if weights is not None else {})
    network = load(TypeAdapter(NetworkConfig).validate_python(options))
    if network.weights_digest != manifest.network.weights:
        return network, f"the weights of {network.name} differ from those that were indexed"
    layers = [(tap.layer, tap.channels, tap.map_size) for tap in network.taps]
    if layers != [(tap.layer, tap.channels, tap.map_size) for tap in recorded_taps(manifest)]:
        return network, f"the layers of {network.name} differ from those that were indexed"
    return network, ""


def recorded_config(manifest: Manifest) -> RunConfig:
    """The configuration of an index, as its manifest has it: without `out` and the cluster, and without secrets.

    Raises:
        RayselError: it has options that this raysel does not know.
    """
    try:
        record = {stage: {**manifest.config[stage]} for stage in _STAGES}
        for option in _GONE:
            record["scan"].pop(option, None)
        return TypeAdapter(RunConfig).validate_python(record)
    except (KeyError, ValidationError) as error:
        made_by = manifest.software.get("raysel", "another version")
        raise RayselError(f"the index has options of raysel {made_by}: index again with this raysel") from error


def differences(there: Manifest, config: RunConfig) -> str:
    """The settings in which a published index differs from `config`, in a few words; empty if there are none."""
    found = []
    for stage, record in as_recorded(config).items():
        before, declared = there.config.get(stage, {}), options(getattr(config, stage))
        for name, value in record.items():
            matters = name not in declared or Enters.NONE not in declared[name].marks
            if matters and name in before and before[name] != value:
                found.append(f"{name} {before[name]}, now {value}")
    return "; ".join(found[:3])


def as_recorded(config: RunConfig) -> dict[str, Any]:
    """The configuration as a manifest has it: JSON values without secrets, which mean the same in any folder."""
    record = {stage: asdict(map_paths(getattr(config, stage), _recorded_path)) for stage in _STAGES}
    if config.source.images:  # unlike other paths, it may be a glob
        record["source"]["images"] = redact_uri(absolute_uri(config.source.images))
    recorded: dict[str, Any] = json.loads(json.dumps(record))
    return recorded


def _counters(config: RunConfig, state: RunningState, derived: Derived) -> dict[str, int | float]:
    return {
        "scan.batch": forward_batch(config.scan),
        "scan.images": state.scanned,
        "scan.candidates_sent": state.candidates_sent,
        "scan.candidates_bound": round(state.candidates_bound),
        "scan.cutoff_lag": state.cutoff_lag,
        "scan.decode_s": round(state.decode_s, 3),
        "scan.forward_s": round(state.forward_s, 3),
        "derive.images_needed": derived.images_needed,
        "derive.images_decoded": derived.cost.images_decoded,
        "derive.bytes_read": derived.cost.bytes_read,
        "derive.crops": derived.crops,
        "derive.kernel_s": round(derived.cost.kernel_s, 3),
    }


def _recorded_path(path: str) -> str:
    """A local path made absolute, so that the index can be verified from another folder; a URI without secrets."""
    return redact_uri(absolute_if_exists(path))
