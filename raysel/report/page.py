"""A report: a page with all figures, and their files beside it."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.ft2font import FT2Font
from pyarrow import csv

from raysel.errors import RayselError
from raysel.report.background import chance_note, facts
from raysel.report.drawing.style import RC
from raysel.report.drawing.tag_cloud import font_with
from raysel.report.figures import EXHIBITS, Exhibit, NotShownError
from raysel.store import Index

PAGE = "index.html"
_MARK = '<meta name="generator" content="raysel report">'
"""In the head of every page: a folder with such a page may be written again."""
_DPI = 160
_SUFFIXES = (".png", ".svg", ".csv")


@dataclass(frozen=True)
class Shown:
    """A figure or a table as the page has it."""

    name: str
    title: str
    caption: str
    """Why there is no figure, if `files` is empty."""
    files: tuple[str, ...] = ()
    picture: str = ""
    """The figure as a data URI; empty for a table."""
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """Cells of a table."""


def write_report(index: Index, out: Path) -> list[str]:
    """Write ``index.html`` and the files of every figure into the folder `out`.

    A report that is there already is replaced; other files in a folder with a report are left alone.

    Returns:
        names of the files below `out`, the page first.

    Raises:
        RayselError: `out` has other content than a report, or cannot be written.
    """
    try:
        _clear(out)
        with rc_context({**RC, "font.family": _fonts(index)}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn, and the CSV has the name
            shown = [_shown(exhibit, index, out) for exhibit in EXHIBITS]
        loader = PackageLoader("raysel.report", ".")
        template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        page = template.get_template("page.html.jinja").render(
            network=index.manifest.network.name, facts=facts(index), chance=chance_note(index), exhibits=shown
        )
        (out / PAGE).write_text(page, encoding="utf-8")
    except OSError as error:
        raise RayselError(f"cannot write {error.filename or out}: {error.strerror or error}") from None
    return [PAGE, *(file for each in shown for file in each.files)]


def _fonts(index: Index) -> list[str]:
    """DejaVu Sans and, if it lacks a letter of a layer's name, a font that has it."""
    other = FT2Font(font_with("".join(index.layers))).family_name
    return list(dict.fromkeys([*RC["font.family"], other]))


def _clear(out: Path) -> None:
    """Make the folder, and remove the files of a former report."""
    if out.exists() and not out.is_dir():
        raise RayselError(f"--out {out} is a file: give a folder")
    own = {PAGE, *(f"{exhibit.name}{suffix}" for exhibit in EXHIBITS for suffix in _SUFFIXES)}
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    is_report = PAGE in names and _MARK in (out / PAGE).read_text(encoding="utf-8", errors="replace")[:500]
    if not is_report and names - (own - {PAGE}):
        raise RayselError(f"--out {out} has other files in it: give an empty or a new folder")
    out.mkdir(parents=True, exist_ok=True)
    for name in names & own:
        (out / name).unlink()


def _shown(exhibit: Exhibit[Any], index: Index, out: Path) -> Shown:
    """Collect, draw and write one figure."""
    try:
        findings = exhibit.collect(index)
    except NotShownError as reason:
        return Shown(exhibit.name, exhibit.title, str(reason))
    table = f"{exhibit.name}.csv"
    csv.write_csv(findings.table, out / table)
    if exhibit.draw is None:
        headings = tuple(name.replace("_", " ") for name in findings.table.column_names)
        rows = tuple(_cells(findings.table))
        return Shown(exhibit.name, exhibit.title, findings.caption, (table,), "", headings, rows)
    figure = exhibit.draw(findings)
    png, svg = f"{exhibit.name}.png", f"{exhibit.name}.svg"
    figure.savefig(out / png, dpi=_DPI)
    figure.savefig(out / svg, dpi=_DPI, metadata={"Date": None})
    picture = f"data:image/svg+xml;base64,{base64.b64encode((out / svg).read_bytes()).decode()}"
    return Shown(exhibit.name, exhibit.title, findings.caption, (png, svg, table), picture)


def _cells(table: pa.Table) -> Iterator[tuple[str, ...]]:
    for row in table.to_pylist():
        alive = row["neurons"] - row["dead"]
        yield tuple(_cell(name, value, alive) for name, value in row.items())


def _cell(name: str, value: Any, alive: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:z.2f}"
    if "_over_" in name and alive:
        return f"{value:,} ({value / alive:.0%})"
    return f"{value:,}" if isinstance(value, int) else str(value)
