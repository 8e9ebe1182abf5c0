"""Crops in the full resolution of their images, which are read again from the source by their locators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from PIL import Image
from pydantic import TypeAdapter

from raysel.config import Preprocessing, SourceConfig
from raysel.errors import BadImageError, RayselError
from raysel.images import MovedSource, Source, decode, open_source, placement

if TYPE_CHECKING:
    from raysel.store.index_reader import Index
    from raysel.store.manifest import Manifest

_UNCHANGED = Preprocessing(resize=None, crop=None)


@dataclass(frozen=True)
class SourceCrop:
    """What a neuron saw in one image, in that image's own pixels."""

    image: int
    """Id of the image."""
    key: str
    box: tuple[float, float, float, float]
    """(top, left, bottom, right) in pixels of the upright original; may reach outside of it."""
    picture: Image.Image
    """The original's pixels that `box` touches, RGB: smaller than the box where that reaches outside."""


def recorded_source(manifest: Manifest, images: str | None = None) -> Source:
    """The source of an index. `images`: where its images are now, if they were moved.

    Raises:
        RayselError: it cannot be opened.
    """
    if "source" not in manifest.config:
        raise RayselError("the manifest of this index does not say where its images are")
    options = TypeAdapter(SourceConfig).validate_python(manifest.config["source"])
    source = open_source(images or options.images, manifest.source.kind, options.uri_column, options.label_column)
    return MovedSource(options.images, source) if images else source


def source_crops(index: Index, ranking: list[dict[str, Any]], images: str | None) -> list[SourceCrop]:
    """The crops of some rows of the rankings table; see `Neuron.source_crops`."""
    ids = [row["image"] for row in ranking]
    preprocessing = _preprocessing(index)
    contents = {image: (key, content) for image, key, content in source_images(index, ids, images)} if ids else {}
    return [_cut(row, *contents[row["image"]], preprocessing) for row in ranking]


def source_image(index: Index, entry: dict[str, Any], images: str | None = None) -> SourceCrop:
    """The whole image of one row of the rankings table, with the box of what the neuron saw in it.

    Args:
        index: an open index.
        entry: a row of its rankings table.
        images: path or URI of the images if they were moved since the run.

    Returns:
        a `SourceCrop` whose picture is the upright original.

    Raises:
        RayselError: the image cannot be read, or is not the one that was indexed.
    """
    ((_, key, content),) = source_images(index, [entry["image"]], images)
    original, box = _placed(entry, key, content, _preprocessing(index))
    return SourceCrop(entry["image"], key, box, original)


def _preprocessing(index: Index) -> Preprocessing:
    return TypeAdapter(Preprocessing).validate_python(index.manifest.network.preprocessing)


def source_images(index: Index, ids: list[int], images: str | None = None) -> Iterator[tuple[int, str, bytes]]:
    """(id, key, bytes of its file) of each image, shard by shard. `images`: where they are now, if they were moved.

    Raises:
        RayselError: the images cannot be read.
    """
    source = recorded_source(index.manifest, images)
    table = index.images_of(ids).sort_by([("shard", "ascending"), ("offset", "ascending"), ("key", "ascending")])
    shards = index.shards
    start = 0
    for shard, same in groupby(table["shard"].to_pylist()):
        rows = table.slice(start, len(list(same)))
        start += rows.num_rows
        name, etag = shards["name"][shard].as_py(), shards["etag"][shard].as_py()
        files = source.read(name, rows.select(["key", "offset", "length"]).combine_chunks(), etag)
        yield from zip(rows["image"].to_pylist(), rows["key"].to_pylist(), files, strict=True)


def _cut(row: dict[str, Any], key: str, content: bytes, preprocessing: Preprocessing) -> SourceCrop:
    original, box = _placed(row, key, content, preprocessing)
    top, left, bottom, right = box
    (x0, x1), (y0, y1) = (_within(left, right, original.width), _within(top, bottom, original.height))
    return SourceCrop(row["image"], key, box, original.crop((x0, y0, x1, y1)))


def _placed(
    row: dict[str, Any], key: str, content: bytes, preprocessing: Preprocessing
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The upright original, RGB, and the box of a row's crop in its pixels: (top, left, bottom, right)."""
    try:
        original = Image.fromarray(decode(content, _UNCHANGED))
    except BadImageError as error:
        raise RayselError(f"image {key} is not the one that was indexed: {error}") from error
    place = placement((original.height, original.width), preprocessing)
    return original, place.box(row["y0"], row["x0"], row["y1"], row["x1"])


def _within(first: float, last: float, size: int) -> tuple[int, int]:
    """The whole pixels of an image that an interval touches."""
    return min(max(0, floor(first)), size), min(max(0, ceil(last)), size)
