"""Indexes of other packages: found, measured, stored, found again by their column; and faults that name the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raysel.errors import RayselError
from raysel.selectivity.plugins import check_same
from tests.conftest import ROOT
from tests.own_index import CODE, install

PROBE = """
import json, sys, numpy as np
from raysel.errors import RayselError
from raysel.selectivity import columns, measure, null_values, plugin_versions
from raysel.store import neurons_schema
from tests.selectivity.evidence import evidence
crops = np.full((2, 1, 2, 3), 51, np.uint8)
known = evidence(feature=[[[0.2] * 3] * 2], crops=crops, shown=[[1, 1], [1, 2]])
try:
    found = {"neurons": neurons_schema().names, "columns": [column.name for column in columns()]}
    found["brightness"] = measure(known).get("brightness")
    found["dead"] = "brightness" in null_values()
    found["versions"] = plugin_versions()
    print(json.dumps(found))
except RayselError as error:
    print(json.dumps({"fault": str(error)}))
"""


def probed(*folders: Path) -> Any:
    path = os.pathsep.join([*map(str, folders), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_readme_s_index_has_fifteen_lines() -> None:
    assert len(CODE.splitlines()) <= 15


def test_an_installed_index_is_a_column_everywhere(tmp_path: Path) -> None:
    found = probed(install(tmp_path))
    assert found["columns"][-1] == "brightness"
    assert "brightness" in found["neurons"]
    assert found["brightness"] == pytest.approx(0.2)
    assert found["dead"]
    assert found["versions"] == {"raysel-brightness": "1.0"}


def test_an_index_may_ask_for_its_place_in_the_network(tmp_path: Path) -> None:
    code = CODE.replace("float(seen.mean())", "float(evidence.tap.receptive_field.width)")
    assert probed(install(tmp_path, code))["brightness"] == 2


def test_without_the_package_there_is_none() -> None:
    found = probed()
    assert "brightness" not in found["columns"]
    assert found["versions"] == {}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (CODE.replace('("brightness"', '("chroma"'), "has a column 'chroma', as has raysel itself: uninstall"),
        (CODE.replace('("brightness"', '("a_max"'), "has a column 'a_max', as has raysel itself: uninstall"),
        (CODE.replace('("brightness"', '("sheet"'), "has a column 'sheet', as has raysel itself: uninstall"),
        (CODE.replace('("brightness"', '("how bright"'), "has a column 'how bright', which a condition cannot name"),
        (
            "import not_there",
            "cannot be loaded (ModuleNotFoundError: No module named 'not_there'): repair",
        ),
        ("", "cannot be loaded (AttributeError: "),
        ("INDEX = 3\n", "is not a SelectivityIndex: let its entry point 'brightness:INDEX' name one, or uninstall"),
        (CODE.replace("seen.mean()", "seen.median()"), "fails for neuron layer:0 (AttributeError: "),
        (CODE.replace('{"brightness"', '{"other"'), "fails for neuron layer:0 (KeyError: 'brightness')"),
        (CODE.replace("float(seen.mean())", '"bright"'), "fails for neuron layer:0 (ArrowInvalid: "),
    ],
)
def test_a_broken_package_is_one_line_that_names_it(tmp_path: Path, code: str, said: str) -> None:
    fault = probed(install(tmp_path, code))["fault"]
    assert fault.startswith("the selectivity index 'brightness' of package raysel-brightness 1.0 ")
    assert said in fault
    assert "\n" not in fault


def test_two_packages_with_the_same_column(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = install(tmp_path / "other", package="shine", version="2", entry="shiny = shine:INDEX")
    (tmp_path / "first").mkdir()
    assert probed(install(tmp_path / "first"), other)["fault"] == (
        "the selectivity index 'shiny' of package shine 2 has a column 'brightness', as has the selectivity index "
        "'brightness' of package raysel-brightness 1.0: uninstall the package, or rename the column"
    )


def test_machines_with_other_packages_are_refused() -> None:
    check_same({"a": "1"}, {"a": "1"})
    with pytest.raises(RayselError, match=r"\(a not installed, b 2\) than .* \(a 1, b 3\): install the same packages"):
        check_same({"b": "2", "c": "1"}, {"a": "1", "b": "3", "c": "1"})
