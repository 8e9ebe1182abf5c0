"""An index of another package, from its installation to what `raysel find` finds by it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import csv

import raysel
from tests.own_index import CODE, install
from tests.typed import TINY, furnish, raysel_here
from tests.typed import raysel as typed

RUN = ("index", *TINY, "--out", "index", "--num-cpus", "2")


def assert_reported(report: Path, living: list[dict[str, Any]]) -> None:
    """The index is a panel of the figure on the page, and its bins hold the neurons of each layer."""
    section = (report / "index.html").read_text().partition('<section id="distributions"')[2].partition("</section>")[0]
    picture = base64.b64decode(section.partition("base64,")[2].partition('"')[0]).decode()
    assert "<!-- brightness -->" in picture  # matplotlib writes a text as paths, after the text as a comment
    bins = csv.read_csv(report / "distributions.csv").to_pylist()
    for layer in {row["layer"] for row in living}:
        values = [row["brightness"] for row in living if row["layer"] == layer]
        of_layer = [each for each in bins if (each["column"], str(each["layer"])) == ("brightness", layer)]
        assert sum(each["neurons"] for each in of_layer) == len(values)
        for value in values:
            assert any(each["low"] <= value <= each["high"] for each in of_layer)


@pytest.mark.ray
def test_the_column_of_an_installed_package(tmp_path: Path) -> None:
    home = install(furnish(tmp_path / "home"))  # on the path of the run and of Ray's workers
    made = typed(home, *RUN)
    assert made.status == 0, made.err
    index = raysel.open(str(home / "index"))
    assert index.manifest.software["raysel-brightness"] == "1.0"
    assert index.neurons.schema.field("brightness").metadata[b"description"].startswith(b"Mean brightness")
    living = index.neurons.filter(np.array(index.neurons["n"]) > 0).to_pylist()
    assert len(living) > 5
    for row in living:
        crops = index.neuron(row["layer"], row["channel"]).crops
        assert row["brightness"] == pytest.approx(np.mean([np.asarray(crop) / 255 for crop in crops]), abs=0.01)
    least = sorted(row["brightness"] for row in living)[-3]
    # Where the package is not installed.
    asked = ("find", str(home / "index"), "--where", f"brightness >= {least!r}", "--json")
    found = json.loads(raysel_here(tmp_path, *asked).out)
    assert [row["brightness"] for row in found] == sorted((row["brightness"] for row in living), reverse=True)[:3]

    for where in (home, tmp_path):
        said = typed(where, "report", str(home / "index"), "--out", "report")
        assert said.status == 0, said.err
        assert_reported(where / "report", living)

    next(home.glob("*.dist-info/METADATA")).write_text("Metadata-Version: 2.1\nName: raysel-brightness\nVersion: 1.1\n")
    assert (
        "holds another index (the images, the weights, raysel or an index plugin has changed since)"
        in typed(home, *RUN).fault
    )


def test_a_broken_package_stops_a_run_before_it_reads_anything(tmp_path: Path) -> None:
    home = install(tmp_path, CODE.replace('("brightness"', '("layer"'))
    fault = typed(home, "index", "--network", "no.where:net", "--images", "nowhere", "--out", "index").fault
    assert fault.startswith("the selectivity index 'brightness' of package raysel-brightness 1.0 has a column 'layer'")
