"""From what a page shows to its HTML."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import markupsafe
from jinja2 import Environment, PackageLoader, StrictUndefined

from raysel.explorer.charts import color_cloud, curves, histograms
from raysel.explorer.links import Links, patterns


def render(template: str, links: Links, **shown: Any) -> str:
    """The HTML of a page or of a part of one."""
    scripts = patterns(links) if links.index else {}
    return environment().get_template(f"{template}.html.jinja").render(links=links, patterns=scripts, **shown)


@cache
def environment() -> Environment:
    """The templates, with escaping on: names of layers, classes and files come from outside."""
    made = Environment(
        loader=PackageLoader("raysel.explorer", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"figure": figure, "percent": percent, "words": words, "breakable": breakable, "code": code}
    made.globals |= {
        "histogram_size": (histograms.WIDTH, histograms.HEIGHT),
        "density_cells": histograms.CELLS,
        "curve_size": (curves.WIDTH, curves.HEIGHT),
        "turns_radius": curves.RADIUS,
        "cloud_side": color_cloud.SIDE,
    }
    return made


def figure(value: Any) -> str:
    """A value in few digits; a dash if it is unknown."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.3g}" if size >= 1e6 else f"{value:,.{2 if size < 100 else 1 if size < 1000 else 0}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def percent(share: float) -> str:
    """A share in percent: one decimal below ten."""
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def words(column: str) -> str:
    """The name of a column as text."""
    return column.replace("_", " ").replace(".", ": ")


def breakable(name: str) -> markupsafe.Markup:
    """A long name that may be broken into lines behind its dots, dashes, underscores and slashes."""
    return markupsafe.Markup(re.sub(r"([._/-]+)(?=[^._/-])", r"\1<wbr>", str(markupsafe.escape(name))))


def code(text: str) -> markupsafe.Markup:
    """A text in which what stands between backticks is code."""
    return markupsafe.Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(markupsafe.escape(text))))
