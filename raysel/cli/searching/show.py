"""``raysel show``: what one neuron is selective to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raysel.cli.arguments import AsJson, IndexPlace, NeuronAddress, PictureFile
from raysel.cli.output import print_json, print_table
from raysel.cli.picture_file import check_picture_file, write_picture
from raysel.errors import RayselError
from raysel.query.neuron_data import neuron_data
from raysel.report import draw_portrait
from raysel.store import Neuron, neuron_address, open_index, spelled

_TOP_CLASSES = 10
_TOP_IMAGES = 5
_IN_TITLE = ("layer", "channel")
_CLASS_COLUMNS = ("label", "name", "share")
_CONCEPT_COLUMNS = ("label", "share")
_IMAGE_COLUMNS = ("rank", "image", "key", "label", "activation", "w", "row", "column")


def show(
    index: IndexPlace,
    neuron: NeuronAddress,
    /,
    *,
    out: PictureFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one neuron.

    Args:
        out: Write a picture: the neuron feature large beside its crops.
    """
    check_picture_file(out)
    opened = open_index(index)
    shown = opened.neuron(*neuron_address(neuron))
    if out is not None:
        if shown.row["dead"]:
            raise RayselError(f"{shown.address} is dead: no image activates it, so there is no picture to write")
        write_picture(draw_portrait(shown), out)
    data = neuron_data(opened, shown)
    if as_json:
        print_json(data)
    else:
        _print_numbers(shown, data["ranking"][:_TOP_IMAGES])
        _print_end(opened.folder.shown, shown, out)


def _print_numbers(neuron: Neuron, top_images: list[dict[str, Any]]) -> None:
    print(neuron.address)
    names = [name for name, value in neuron.row.items() if name not in _IN_TITLE and not isinstance(value, list)]
    width = max(len(name) for name in names)
    for name in names:
        print(f"  {name:<{width}}  {spelled(neuron.row[name])}")
    classes = neuron.classes
    if classes:
        print()
        print_table(_CLASS_COLUMNS, [entry._asdict() for entry in classes[:_TOP_CLASSES]])
        if len(classes) > _TOP_CLASSES:
            print(f"and {len(classes) - _TOP_CLASSES} more classes: --json has all")
    if neuron.row["concept_classes"]:
        print()
        print_table(_CONCEPT_COLUMNS, neuron.row["concept_classes"][:_TOP_CLASSES])
    if not neuron.row["dead"]:
        print()
        print_table(_IMAGE_COLUMNS, top_images)


def _print_end(index: str, neuron: Neuron, out: Path | None) -> None:
    if out is not None:
        print(f"\npicture: {out}")
    elif not neuron.row["dead"]:
        print(f"\nfor its picture: raysel show {index} {neuron.address} --out {neuron.address.replace(':', '-')}.png")
