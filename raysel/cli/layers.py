"""``raysel layers``: where a network would be read, and the receptive field of each place."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from raysel.cli.arguments import AsJson
from raysel.cli.options import NetworkOptions
from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.marks import options as declared

_NEEDS_WEIGHTS = ("torchvision:", "chatfield:")


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
            "rf_size": tap.receptive_field.size,
            "rf_stride": tap.receptive_field.stride,
            "rf_offset": tap.receptive_field.offset,
            "tap": tap.reading,
        }
        for tap in loaded.taps
    ]
    if effective:
        for row, field in zip(rows, effective_receptive_fields(loaded), strict=True):
            row |= {"effective_size": field.size, "effective_stride": field.stride, "effective_offset": field.offset}
    if as_json:
        print_json(rows)
        return
    bounds = [not tap.receptive_field.exact for tap in loaded.taps]
    shown = [_for_people(row, bound) for row, bound in zip(rows, bounds, strict=True)]
    print_table(list(shown[0]), shown, ["rf_offset", "rf_stride"])
    (height, width), channels = loaded.preprocessing.input_size, sum(tap.channels for tap in loaded.taps)
    print(f"\n{len(rows):,} layers, {channels:,} neurons, images of {height} x {width} pixels")


def _for_people(row: dict[str, Any], bound: bool) -> dict[str, Any]:
    """A row as text: the map as 13 x 13, whole numbers without decimals, a bound on the size with its sign."""
    shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in row.items()}
    shown["map"] = " x ".join(map(str, row["map"]))
    if bound:
        shown["rf_size"] = f"<= {row['rf_size']}"
    return {name: value for name, value in shown.items() if name not in ("effective_stride", "effective_offset")}
