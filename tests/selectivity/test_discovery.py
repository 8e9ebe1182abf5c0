"""The indexes of the package are found by their files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

import raysel.selectivity
from raysel.selectivity import INDEXES, columns, measure, null_values
from tests.selectivity.evidence import evidence

NEW_INDEX = '''
"""How bright the neuron feature is."""

import pyarrow as pa

from raysel.selectivity.evidence import SelectivityIndex, column

INDEX = SelectivityIndex(
    name="brightness",
    columns=(column("brightness", pa.float64(), "Mean of the neuron feature, 0 to 1"),),
    measure=lambda evidence: {"brightness": float(evidence.feature.mean())},
)
'''

IN_ANOTHER_PROCESS = """
import json, sys
from tests.selectivity.evidence import evidence
import raysel.selectivity as selectivity
values = selectivity.measure(evidence())
print(json.dumps({
    "file": selectivity.__file__,
    "columns": [column.name for column in selectivity.columns()],
    "brightness": values.get("brightness"),
    "dead": "brightness" in selectivity.null_values(),
    "heavy": [name for name in ("ray", "torch") if name in sys.modules],
}))
"""


def run_beside(package: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": f"{package.parent}:{root}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS]
    return subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True, check=False)


def copy_of_the_package(folder: Path) -> Path:
    source = Path(raysel.selectivity.__file__).resolve().parents[1]
    return Path(shutil.copytree(source, folder / "raysel", ignore=shutil.ignore_patterns("__pycache__")))


def test_a_new_index_is_one_new_file_and_nothing_else(tmp_path: Path) -> None:
    package = copy_of_the_package(tmp_path)
    (package / "selectivity" / "brightness.py").write_text(NEW_INDEX)
    done = run_beside(package)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["file"].startswith(str(tmp_path))
    assert "brightness" in found["columns"]
    assert found["brightness"] == 0.5
    assert found["dead"]
    assert found["heavy"] == []


def test_two_indexes_with_the_same_column_are_refused_by_name(tmp_path: Path) -> None:
    package = copy_of_the_package(tmp_path)
    (package / "selectivity" / "brightness.py").write_text(NEW_INDEX.replace('column("brightness"', 'column("chroma"'))
    done = run_beside(package)
    assert done.returncode != 0
    assert "columns of more than one selectivity index: chroma" in done.stderr


def test_every_column_is_described_and_its_values_fit_its_type() -> None:
    feature = np.random.default_rng(0).uniform(size=(3, 3, 3))
    labeled = evidence(weights=[1.0, 0.9], labels=["beagle", "tabby"], concepts="dog,cat", feature=feature)
    schema = pa.schema(columns())
    rows = [measure(labeled), measure(evidence()), null_values()]
    table = pa.Table.from_pylist(rows, schema=schema)
    assert table.num_rows == 3
    assert set(schema.names) == set(rows[0]) == set(rows[2])
    assert all(value is None for value in rows[2].values())
    assert None not in rows[0].values()
    for field in schema:
        assert field.nullable
        assert len(field.metadata[b"description"]) > 5


def test_the_indexes_of_the_paper_are_there() -> None:
    assert {index.name for index in INDEXES} >= {"color", "class"}
