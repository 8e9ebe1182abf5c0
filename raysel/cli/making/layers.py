"""``raysel layers``: where a network would be read, and the receptive field of each place."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from cyclopts import Parameter

from raysel.cli.arguments import AsJson
from raysel.cli.options import NetworkOptions
from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.marks import options as declared

_FOR_PROGRAMS = frozenset(
    (
        *("rf_height", "rf_width", "rf_stride_x", "rf_offset_x", "exact", "reason"),
        *("effective_stride", "effective_offset"),
    )
)
"""Columns that the table for people leaves out."""
_NEEDS_WEIGHTS = ("torchvision:", "timm:", "chatfield:")


def layers(
    network: Annotated[str, Parameter(name="NETWORK", help=declared(NetworkConfig)["network"].text)],
    /,
    options: NetworkOptions = None,
    *,
    effective: bool = False,
    as_json: AsJson = False,
) -> None:
    """List the layers of a network.

    Args:
        effective: Add the effective receptive fields, measured over 64 images of seeded noise.
    """
    config: dict[str, Any] = {"network": network, **(options or {})}
    if "weights" not in config and network.startswith(_NEEDS_WEIGHTS):
        if effective:
            raise RayselError(
                "effective receptive fields depend on the weights: give --weights FILE, "
                "or --weights random for those of the untrained network"
            )
        config["weights"] = "random"
    from raysel.cli.output import print_json, print_table
    from raysel.network import effective_receptive_fields, load

    loaded = load(NetworkConfig(**config))
    rows: list[dict[str, Any]] = [
        {
            "layer": tap.layer,
            "channels": tap.channels,
            "map": list(tap.map_size),
            **field.record(),
            "exact": field.exact,
            "reason": field.bound,
            "tap": tap.reading,
        }
        for tap in loaded.taps
        for field in (tap.crop_field("auto"),)
    ]
    if effective:
        for row, field in zip(rows, effective_receptive_fields(loaded), strict=True):
            stride, offset = float(field.rows.stride), float(field.rows.offset)
            row |= {"effective_size": field.size, "effective_stride": stride, "effective_offset": offset}
    for note in loaded.notes:
        print(f"raysel: {note}", file=sys.stderr)
    if as_json:
        print_json(rows)
        return
    local = [tap.crop_field("auto") is not tap.receptive_field for tap in loaded.taps]
    shown = [_for_people(*each) for each in zip(rows, local, strict=True)]
    print_table(list(shown[0]), shown, ["rf_offset", "rf_stride"])
    (height, width), channels = loaded.preprocessing.input_size, sum(tap.channels for tap in loaded.taps)
    print(f"\n{len(rows):,} layers, {channels:,} neurons, images of {height} x {width} pixels")


def _for_people(row: dict[str, Any], local: bool) -> dict[str, Any]:
    """A row as text: the map as 13 x 13, whole numbers without decimals, a bound on the size with its sign."""
    shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in row.items()}
    shown["map"] = " x ".join(map(str, row["map"]))
    height, width = row["rf_height"], row["rf_width"]
    size = str(height) if height == width else f"{height} x {width}"
    shown["rf_size"] = size if row["exact"] else f"{size} (local)" if local else f"<= {size}"
    return {name: value for name, value in shown.items() if name not in _FOR_PROGRAMS}
