"""The taps of the network that was indexed, and the receptive fields that its crops show, as the manifest has them."""

from __future__ import annotations

from raysel.neurons import ReceptiveField, Tap, field_of
from raysel.store.manifest import Manifest


def recorded_taps(manifest: Manifest) -> tuple[Tap, ...]:
    """The taps in the order of the network, with their theoretical receptive fields."""
    taps = []
    for layer, tap in manifest.network.taps.items():
        local = tap["fields"].get("local")
        field = field_of(tap["fields"]["theoretical"])
        reading = tap["reading"], tap["depth"], field_of(local) if local else None
        taps.append(Tap(layer, tap["channels"], tuple(tap["map"]), field, *reading))
    return tuple(taps)


def recorded_crop_fields(manifest: Manifest) -> tuple[ReceptiveField, ...]:
    """The field that the crops of each tap show, by the index's option ``receptive_field``."""
    kind = manifest.config["derive"]["receptive_field"]
    if kind == "effective":
        return tuple(field_of(tap["fields"]["effective"]) for tap in manifest.network.taps.values())
    return tuple(tap.crop_field(kind) for tap in recorded_taps(manifest))
