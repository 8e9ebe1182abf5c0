"""A small index with every table, written by raysel's own writers from seeded random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raysel.files import Folder
from raysel.images import imagenet1k
from raysel.neurons import ContactSheet
from raysel.selectivity.color_naming import NAMES
from raysel.store import (
    CLASSES,
    FEATURES,
    IMAGES,
    QUARANTINE,
    RANKINGS,
    SHARDS,
    SHEETS,
    Counts,
    FileEntry,
    Manifest,
    NetworkRecord,
    SourceRecord,
    TableWriter,
    feature_row,
    locked,
    neurons_schema,
    publish,
    sheet_row,
)

FINGERPRINT = "f" * 16
CLASS_NAMES = {"n01": "red fox", "n02": "lemon", "n03": "zebra", "n04": "açaí"}
IMAGES_COUNT = 60
DEPTH = 24
N_MAX = 16


@dataclass(frozen=True)
class Layer:
    """One layer of the synthetic network."""

    name: str
    channels: int
    size: int
    stride: int
    dead: bool = False
    """No image activates any of its neurons."""


LAYERS = (Layer("stem", 70, 7, 2), Layer("features.3.squeeze", 12, 27, 4), Layer("features.10", 40, 48, 8))


@dataclass(frozen=True)
class Synthetic:
    """The content of the index as plain Python."""

    folder: Folder
    manifest: Manifest
    rows: list[dict[str, Any]]
    """Rows of the neurons table, in the order of the network."""
    features: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    """(layer, channel) -> float64[h, w, 3]."""
    counts: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    crops: dict[tuple[str, int], list[np.ndarray]] = field(default_factory=dict)
    rankings: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)


def build(
    where: str | Path | Folder,
    layers: tuple[Layer, ...] = LAYERS,
    seed: int = 0,
    published: bool = True,
    classes: Mapping[str, str] = CLASS_NAMES,
) -> Synthetic:
    """Write an index into `where`, and publish it if `published` is true.

    `classes`: label -> name. With other classes than `CLASS_NAMES`, each is the first of some neurons. A label of
    ImageNet-1k has the concepts of WordNet above it, any other one has ``n00``.
    """
    folder = where if isinstance(where, Folder) else Folder.at(where)
    rng = np.random.default_rng(seed)
    writer = TableWriter(folder, FINGERPRINT)
    labels = [_label(image, list(classes)) for image in range(IMAGES_COUNT)]
    made = Synthetic(folder, _manifest([], 0, 0), [])
    files: list[FileEntry] = []
    for depth, layer in enumerate(layers):
        for channel in range(layer.channels):
            _neuron(made, rng, depth, layer, channel, labels, list(classes))
        files += _pictures(writer, made, layer)
    rankings = (pa.Table.from_pylist(entries, RANKINGS) for entries in made.rankings.values())
    neurons = pa.Table.from_pylist(made.rows, neurons_schema())
    files += [
        writer.neurons(neurons.take(rng.permutation(len(neurons)))),
        writer.rankings(rankings),
        writer.images([_images(labels)]),
        writer.shards(pa.Table.from_pylist([{"shard": 0, "name": "a.tar", "size": 60_000, "etag": "e"}], SHARDS)),
        writer.classes(_classes(labels, classes)),
        writer.quarantine(
            pa.Table.from_pylist([{"image": 3, "key": "key0003", "shard": "a.tar", "reason": "truncated"}], QUARANTINE)
        ),
    ]
    manifest = _manifest(files, len(made.rows), sum(row["dead"] for row in made.rows))
    if published:
        with locked(folder, print) as lock:
            manifest = publish(lock, manifest)
    return Synthetic(folder, manifest, made.rows, made.features, made.counts, made.crops, made.rankings)


def _label(image: int, classes: list[str]) -> str | None:
    return None if image % 7 == 6 else classes[image % len(classes)]


def _neuron(
    made: Synthetic,
    rng: np.random.Generator,
    depth: int,
    layer: Layer,
    channel: int,
    labels: list[str | None],
    classes: list[str],
) -> None:
    address = (layer.name, channel)
    dead = layer.dead or channel % 11 == 5
    row: dict[str, Any] = {
        **dict.fromkeys(neurons_schema().names),
        "layer": layer.name,
        "channel": channel,
        "layer_depth": depth,
        "rf_size": layer.size,
        "rf_height": layer.size,
        "rf_width": layer.size,
        "rf_stride": float(layer.stride),
        "rf_offset": -1.5,
        "rf_stride_x": float(layer.stride),
        "rf_offset_x": -1.5,
        "rf_exact": True,
        "n": 0,
        "dead": dead,
        "saturated": 0,
    }
    made.rows.append(row)
    if dead:
        return
    n = int(rng.integers(1, N_MAX + 1))
    first = 0 if classes == list(CLASS_NAMES) else channel % len(classes)
    row.update(
        a_max=float(np.float32(rng.uniform(0.5, 40))),
        n=n,
        saturated=1,
        **_indexes(rng, n, classes[first:] + classes),
    )
    made.rankings[address] = _ranking(rng, row, layer, labels)
    pattern, count = _pattern(rng, layer.size, n, colorful=bool(channel % 2))
    made.features[address], made.counts[address] = pattern, count
    made.crops[address] = [np.clip(pattern + rng.normal(0, 0.05, pattern.shape), 0, 1) for _ in range(n)]


def _indexes(rng: np.random.Generator, n: int, class_labels: list[str]) -> dict[str, Any]:
    """Values of the selectivity indexes; rounded, so that there are ties."""
    shares = np.sort(rng.dirichlet(np.ones(3)))[::-1]
    classes = [{"label": label, "share": float(share)} for label, share in zip(class_labels, shares, strict=False)]
    red = round(float(rng.uniform()), 3)
    known = {
        "color_selectivity": round(float(rng.uniform()), 2),
        "chroma": float(rng.uniform(0, 0.5)),
        "hue": float(rng.uniform(-180, 180)) if rng.uniform() < 0.8 else None,
        "class_selectivity": round(float(rng.uniform()), 1) if n > 1 else None,
        "color_names": dict.fromkeys(NAMES, 0.0) | {"red": red, "blue": 1 - red},
        "population_code": int(rng.integers(0, 4)),
        "n_classes": len(classes),
        "label": classes[0]["label"],
        "label_share": classes[0]["share"],
        "classes": classes,
    }
    return {name: value for name, value in known.items() if name in neurons_schema().names}


def _ranking(
    rng: np.random.Generator, row: dict[str, Any], layer: Layer, labels: list[str | None]
) -> list[dict[str, Any]]:
    ids = rng.permutation(IMAGES_COUNT)[:DEPTH].tolist()
    weights = np.sort(rng.uniform(0.4, 1, DEPTH))[::-1]
    weights[0] = 1.0
    entries = []
    for rank, (image, w) in enumerate(zip(ids, weights.tolist(), strict=True)):
        place = rng.integers(0, 20, 2).tolist()
        y0, x0 = (layer.stride * p - 2 for p in place)
        entries.append(
            {
                "layer": layer.name,
                "channel": row["channel"],
                "rank": rank,
                "image": image,
                "activation": float(np.float32(w * row["a_max"])),
                "w": w,
                "row": place[0],
                "column": place[1],
                "x0": x0,
                "y0": y0,
                "x1": x0 + layer.size,
                "y1": y0 + layer.size,
                "label": labels[image],
            }
        )
    return entries


def _pattern(rng: np.random.Generator, size: int, n: int, colorful: bool) -> tuple[np.ndarray, np.ndarray]:
    """A grating under a Gaussian, in color or gray, and a count that is 0 in one corner."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    wave = np.cos(2 * np.pi * 2 * (x * np.cos(angle) + y * np.sin(angle)) + phase) * np.exp(-(x**2 + y**2) * 8)
    direction = rng.normal(size=3) if colorful else np.ones(3)
    pattern = np.clip(0.5 + 0.45 * wave[..., None] * direction / np.abs(direction).max(), 0, 1)
    count = np.full((size, size), n)
    count[: size // 4, : size // 5] = 0
    return pattern, count


def _pictures(writer: TableWriter, made: Synthetic, layer: Layer) -> list[FileEntry]:
    features, sheets = [], []
    for channel in range(layer.channels):
        address = (layer.name, channel)
        if address not in made.features:
            continue
        features.append(feature_row(channel, made.features[address], made.counts[address], floats=False))
        crops = made.crops[address]
        levels = np.rint(255 * np.stack(crops)).astype(np.uint8)
        sheets.append(sheet_row(channel, ContactSheet.of(levels)))
    return [
        writer.features(layer.name, [pa.Table.from_pylist(features, FEATURES)]),
        writer.sheets(layer.name, [pa.Table.from_pylist(sheets, SHEETS)]),
    ]


def _images(labels: list[str | None]) -> pa.Table:
    rows = [
        {"image": i, "key": f"key{i:04d}", "label": label, "shard": 0, "offset": 1000 * i, "length": 900}
        for i, label in enumerate(labels)
    ]
    return pa.Table.from_pylist(rows, IMAGES)


def _classes(labels: list[str | None], classes: Mapping[str, str]) -> pa.Table:
    rows = [
        {
            "label": label,
            "name": name,
            "wnid": label,
            "hypernyms": imagenet1k().hypernyms(label) or ["n00"],
            "images": labels.count(label),
        }
        for label, name in reversed(classes.items())
    ]
    return pa.Table.from_pylist(rows, CLASSES)


def _manifest(files: list[FileEntry], neurons: int, dead: int) -> Manifest:
    return Manifest(
        scan_fingerprint="a" * 16,
        index_fingerprint=FINGERPRINT,
        network=NetworkRecord(name="made:up", weights="0" * 64),
        source=SourceRecord(uri="/images", kind="tar", digest="d", decoder="pillow", shards=1),
        counts=Counts(neurons=neurons, dead=dead, images=IMAGES_COUNT, quarantined=1, skipped=2, classes=4),
        coverage=1.0,
        stages={"scan": 1.5},
        counters={"scan.candidates_sent": 1234},
        files=files,
    )
