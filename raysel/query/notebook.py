"""Neurons as HTML, for notebooks: every text of an index is escaped, every picture is part of the HTML."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image

from raysel.query.columns import NEURON, columns_for_people, selected
from raysel.query.question import NeuronTable
from raysel.store import Neuron, spelled

MAX_ROWS = 50
MAX_CROPS = 24
MAX_CLASSES = 8
THUMBNAIL = 64
FEATURE = 192
CROP = 64
"""Sides of pictures, pixels."""

_CELL = ' style="text-align:left;vertical-align:middle"'


class PicturedNeuron(Neuron):
    """A neuron that a notebook shows with its feature, its first crops and its classes."""

    def _repr_html_(self) -> str:
        return neuron_html(self)


def table_html(neurons: NeuronTable) -> str:
    """A row per neuron with its feature and the columns for people; at most `MAX_ROWS` rows."""
    shown = neurons.table.slice(0, MAX_ROWS)
    cells = selected(neurons.index, shown, columns_for_people(neurons.index, shown))
    heads = "".join(f"<th{_CELL}>{escape(name.replace('_', ' '))}</th>" for name in ("", *cells.column_names))
    lines = []
    for row, neuron in zip(cells.to_pylist(), NeuronTable(shown, neurons.index), strict=True):
        picture = _image(neuron.picture, THUMBNAIL, row[NEURON])
        values = "".join(f"<td{_CELL}>{escape(spelled(value))}</td>" for value in row.values())
        lines.append(f"<tr><td>{picture}</td>{values}</tr>")
    more = len(neurons) - len(shown)
    note = f"<p>and {more:,} more neurons</p>" if more else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>{note}"


def neuron_html(neuron: Neuron) -> str:
    """A neuron with its feature, its first crops and its classes."""
    row = neuron.row
    facts = [
        f"{title} {spelled(row[name])}"
        for title, name in (("color", "color_selectivity"), ("class", "class_selectivity"), ("images", "n"))
        if row[name] is not None
    ]
    summary = "dead" if row["dead"] else ", ".join(facts)
    feature = _image(neuron.picture, FEATURE, f"Neuron feature of {neuron.address}")
    crops = "".join(_image(crop, CROP, f"Crop {rank}") for rank, crop in enumerate(neuron.crops[:MAX_CROPS]))
    classes = "".join(
        f"<li>{escape(spelled(each.name))} {each.share:.0%}</li>" for each in neuron.classes[:MAX_CLASSES]
    )
    return (
        f"<div><h4>{escape(spelled(neuron.address))}</h4><p>{escape(summary)}</p>"
        f'<div style="display:flex;gap:12px;align-items:flex-start">{feature}'
        f'<div style="max-width:{8 * (CROP + 4)}px;line-height:0">{crops}</div><ul>{classes}</ul></div></div>'
    )


def _image(picture: Image.Image | None, side: int, text: str) -> str:
    """The picture at one size on the page; nothing for a dead neuron."""
    if picture is None:
        return ""
    data = io.BytesIO()
    picture.save(data, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    style = f"width:{side}px;height:{side}px;object-fit:contain;image-rendering:pixelated;margin:1px"
    return f'<img src="{source}" alt="{escape(spelled(text))}" style="{style}">'
