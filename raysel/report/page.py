"""A report: a page with all figures, and their files beside it."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

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

S = TypeVar("S")

PAGE = "index.html"
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


@dataclass(frozen=True)
class Page(Generic[S]):
    """What is on a page."""

    kind: str
    """``report``, or the name of another command that writes pages."""
    subject: S
    """What its exhibits collect their data from."""
    exhibits: tuple[Exhibit[S, Any], ...]
    title: str
    facts: list[tuple[str, str]]
    """Pairs of a term and what there is to say about it, below the title."""
    note: str
    """In a box below the facts; may be empty."""
    layers: tuple[str, ...]
    """Names of layers, for whose letters a font is found."""

    @property
    def mark(self) -> str:
        """In the head of every page: a folder with such a page may be written again."""
        return f'<meta name="generator" content="raysel {self.kind}">'


def write_report(index: Index, out: Path) -> list[str]:
    """Write the report of an index, as `write_page` does."""
    title = f"Neuron selectivity of {index.manifest.network.name}"
    return write_page(Page("report", index, EXHIBITS, title, facts(index), chance_note(index), index.layers), out)


def write_page(page: Page[Any], out: Path) -> list[str]:
    """Write ``index.html`` and the files of every figure into the folder `out`.

    A page of the same kind that is there already is replaced; other files in its folder are left alone.

    Returns:
        names of the files below `out`, the page first.

    Raises:
        RayselError: `out` has other content than such a page, or cannot be written.
    """
    try:
        _clear(page, out)
        with rc_context({**RC, "font.family": _fonts(page.layers)}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn, and the CSV has the name
            shown = [_shown(exhibit, page.subject, out) for exhibit in page.exhibits]
        loader = PackageLoader("raysel.report", ".")
        template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        text = template.get_template("page.html.jinja").render(page=page, exhibits=shown)
        (out / PAGE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RayselError(f"cannot write {error.filename or out}: {error.strerror or error}") from None
    return [PAGE, *(file for each in shown for file in each.files)]


def _fonts(layers: tuple[str, ...]) -> list[str]:
    """DejaVu Sans and, if it lacks a letter of a layer's name, a font that has it."""
    other = FT2Font(font_with("".join(layers))).family_name
    return list(dict.fromkeys([*RC["font.family"], other]))


def _clear(page: Page[Any], out: Path) -> None:
    """Make the folder, and remove the files of a former page of this kind."""
    if out.exists() and not out.is_dir():
        raise RayselError(f"--out {out} is a file: give a folder")
    own = {PAGE, *(f"{exhibit.name}{suffix}" for exhibit in page.exhibits for suffix in _SUFFIXES)}
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    is_own = PAGE in names and page.mark in (out / PAGE).read_text(encoding="utf-8", errors="replace")[:500]
    if not is_own and names - (own - {PAGE}):
        raise RayselError(f"--out {out} has other files in it: give an empty or a new folder")
    out.mkdir(parents=True, exist_ok=True)
    for name in names & own:
        (out / name).unlink()


def _shown(exhibit: Exhibit[S, Any], subject: S, out: Path) -> Shown:
    """Collect, draw and write one figure."""
    try:
        findings = exhibit.collect(subject)
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
