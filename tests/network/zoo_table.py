"""A table of networks: where each is read, and whether its receptive fields are what positions really see.

``python -m tests.network.zoo_table`` prints it for all classification networks of torchvision and some of timm, at
native size. ``--torchvision`` or ``--timm`` prints one half; names such as ``timm:dla34`` print only those.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
from torchvision import models

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import type_and_first_line
from raysel.network import load
from raysel.network.importers import torchvision as torchvision_networks
from raysel.network.importers.registry import import_network
from raysel.neurons import Tap
from tests.network.receptive_field.reach import Box, Interval, Reach

TIMM = (
    *("convnext_atto", "convnextv2_atto", "cspdarknet53", "cspresnet50", "darknet53", "densenet121", "dla34"),
    *("dpn68b", "ecaresnet26t", "edgenext_xx_small", "efficientnet_b0", "efficientnetv2_rw_t", "fbnetc_100"),
    *("fastvit_t8", "ghostnet_100", "hardcorenas_a", "hrnet_w18_small", "inception_v4", "lcnet_050", "levit_128s"),
    *("mixnet_s", "mobilenetv3_small_050", "mobilenetv4_conv_small", "mobileone_s0", "nf_regnet_b0", "poolformer_s12"),
    *("regnetx_002", "regnety_002", "repvgg_a0", "res2net50_14w_8s", "resnest14d", "resnet10t", "resnet50_gn"),
    *("resnetblur50", "resnetv2_50", "rexnet_100", "selecsls42b", "seresnet50", "skresnet18", "tf_efficientnet_b0"),
    *("tinynet_e", "xception41"),
)
MOST_PARAMETERS = 150_000_000
"""Larger networks of torchvision are left out: siblings of the others that need many gigabytes."""

NORMS_OVER_SPACE = ("group norm", "instance norm")
"""Behind them a position sees what the whole map sees."""


@dataclass(frozen=True)
class Fault:
    """A position whose reported box is not what it sees."""

    layer: str
    position: tuple[int, int]
    reported: Box | None
    seen: Box | None

    @property
    def hides(self) -> bool:
        """True if the position sees pixels outside of the reported box."""
        return not _holds(self.reported, self.seen)


@dataclass(frozen=True)
class Row:
    """A network in the table.

    Attributes:
        readings: number of taps by where they are read.
        fields: number of taps by kind of field: ``exact`` or ``bound`` and why, ``whole`` if all crops are the image.
        convolutions: number of convolutions that its forward calls.
        positions: number of positions that were compared.
        faults: those among them that differ.
    """

    taps: int
    readings: Counter[str]
    fields: Counter[str]
    convolutions: int
    positions: int
    faults: tuple[Fault, ...]


def reported(tap: Tap, row: int, column: int) -> Box | None:
    """The part of a position's crop that it sees, clipped to the image; None if it is outside."""
    field = tap.receptive_field
    top, left, bottom, right = field.boxes(np.array(row * tap.map_size[1] + column), tap.map_size[1]).tolist()
    height, width = field.input_size
    rows, columns = _clipped((top, bottom - 1), height), _clipped((left, right - 1), width)
    return (rows, columns) if rows and columns else None


def _clipped(interval: Interval, size: int) -> Interval | None:
    first, last = max(interval[0], 0), min(interval[1], size - 1)
    return (first, last) if first <= last else None


def _holds(outer: Box | None, inner: Box | None) -> bool:
    if outer is None or inner is None:
        return inner is None
    return all(a[0] <= b[0] and b[1] <= a[1] for a, b in zip(outer, inner, strict=True))


def positions(rows: int, columns: int, first: bool) -> list[tuple[int, int]]:
    """Opposite corners; for the first tap with a field also the center, two borders, and one place between."""
    r, c = rows - 1, columns - 1
    more = [(r // 2, c // 2), (0, c // 2), (r // 2, c), (r // 3, c - c // 4)]
    return sorted({(0, 0), (r, c), *(more if first else ())})


def check(network: str, size: tuple[int, int] | None = None) -> Row:
    """Loads an untrained network and compares the fields of all its convolutions with what their positions see."""
    preprocessing = None if size is None else Preprocessing(resize=size, crop=None)
    config = NetworkConfig(network=network, weights="random", preprocessing=preprocessing)
    loaded = load(config)
    reach = Reach(import_network(config).module, loaded.preprocessing.input_size)
    faults, compared, known = [], 0, set()
    for tap in loaded.taps:
        exact = tap.receptive_field.exact
        first = (tap.receptive_field, tap.map_size) not in known
        known.add((tap.receptive_field, tap.map_size))
        normed = any(norm in tap.reading for norm in NORMS_OVER_SPACE)
        for row, column in positions(*tap.map_size, first):
            box, seen = reported(tap, row, column), reach.seen(tap.layer, row, column, normed)
            compared += 1
            fault = Fault(tap.layer, (row, column), box, seen)
            if fault.hides or (exact and box != seen):
                faults.append(fault)
    readings = Counter(tap.reading for tap in loaded.taps)
    fields = Counter(map(_kind, loaded.taps))
    return Row(len(loaded.taps), readings, fields, reach.convolutions, compared, tuple(faults))


def _kind(tap: Tap) -> str:
    field = tap.receptive_field
    whole = " whole" if field.whole else ""
    return f"exact{whole}" if field.exact else f"bound{whole} ({field.bound})"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def main() -> None:
    """Prints the table, a network at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timm", action="store_true")
    parser.add_argument("--torchvision", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    both = not (options.names or options.timm or options.torchvision)
    names: list[str] = list(options.names)
    names += [f"torchvision:{name}" for name in _of_torchvision() if both or options.torchvision]
    names += [f"timm:{name}" for name in TIMM if both or options.timm]
    for name in names:
        started = time.process_time()
        try:
            _print_row(name, check(name))
        except Exception as error:  # the table goes on
            print(f"{name}: FAILED {type_and_first_line(error)}")
        print(f"    {time.process_time() - started:.0f} s", flush=True)


def _of_torchvision() -> list[str]:
    names = torchvision_networks.names()
    sizes = {name: models.get_model_weights(name).DEFAULT.meta["num_params"] for name in names}
    return sorted((name for name in names if sizes[name] <= MOST_PARAMETERS), key=sizes.__getitem__)


def _print_row(name: str, row: Row) -> None:
    print(f"{name}: {row.taps} taps of {row.convolutions} convolutions; read at {_counts(row.readings)}")
    print(f"    fields: {_counts(row.fields)}; {row.positions} positions, {len(row.faults)} wrong")
    for layer, count in Counter(fault.layer for fault in row.faults).items():
        faults = [fault for fault in row.faults if fault.layer == layer]
        fault = next((fault for fault in faults if fault.hides), faults[0])
        kind = "too small" if fault.hides else "too large"
        print(f"    {layer}: {count} wrong; {kind} at {fault.position}: reported {fault.reported}, seen {fault.seen}")


if __name__ == "__main__":
    main()
