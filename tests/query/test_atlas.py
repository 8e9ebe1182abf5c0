"""The table for other tools: its form, and neighbors and coordinates against plain computations."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import sparse

import raysel
from raysel.errors import RayselError
from raysel.query import SearchableIndex, similar, write_atlas
from raysel.query.atlas import NEIGHBORS
from raysel.query.profiles.principal_axes import principal_coordinates
from raysel.query.profiles.similarity import By
from tests.store.synthetic import Layer, build


@pytest.mark.parametrize("by", ["images", "classes", "feature"])
def test_a_row_per_neuron_with_picture_and_neighbors(index: SearchableIndex, tmp_path: Path, by: By) -> None:
    file = tmp_path / "atlas.parquet"
    alive = [row for row in index.neurons.to_pylist() if not row["dead"]]
    assert write_atlas(index, file, by) == len(alive)
    table = pq.read_table(file)
    assert table.schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = table.to_pylist()
    addresses = [f"{row['layer']}:{row['channel']}" for row in alive]
    assert [row["neuron"] for row in rows] == addresses
    names = index.class_names
    for row, neuron in zip(rows, alive, strict=True):
        assert row["name"] == names[neuron["label"]]
        assert all(row[column] == neuron[column] for column in ("color_selectivity", "hue", "label", "layer_depth"))
    for place in (0, 40, len(rows) - 1):
        neuron = index.neuron(alive[place]["layer"], alive[place]["channel"])
        assert neuron.picture is not None
        picture = Image.open(io.BytesIO(rows[place]["image"]["bytes"]))
        assert picture.convert("RGBA").tobytes() == neuron.picture.tobytes()
        neighbors = rows[place]["neighbors"]
        expected = similar(index, neuron.layer, neuron.channel, by, limit=NEIGHBORS)
        assert neighbors["ids"][0] == place
        assert neighbors["distances"][0] == 0
        assert len(neighbors["ids"]) == len(set(neighbors["ids"])) == NEIGHBORS + 1
        nearest = [1 - value for value in expected["similarity"].to_pylist()]
        assert neighbors["distances"][1 : 1 + len(nearest)] == pytest.approx(nearest)
        assert neighbors["distances"] == sorted(neighbors["distances"])
        similarity = {f"{row['layer']}:{row['channel']}": row["similarity"] for row in expected.to_pylist()}
        for id_, distance in zip(neighbors["ids"][1:], neighbors["distances"][1:], strict=True):
            if addresses[id_] in similarity:
                assert similarity[addresses[id_]] == pytest.approx(1 - distance)


def test_columns_hold_plain_values(index: SearchableIndex, tmp_path: Path) -> None:
    write_atlas(index, tmp_path / "atlas.parquet")
    schema = pq.read_schema(tmp_path / "atlas.parquet")
    nested = {field.name for field in schema if pa.types.is_nested(field.type)}
    assert nested == {"image", "neighbors"}
    assert not any(pa.types.is_dictionary(field.type) for field in schema)
    assert "gray_index" not in schema.names  # not measured: null for all
    read = duckdb.sql(
        f"select neuron, neighbors.ids[1] from '{tmp_path / 'atlas.parquet'}' where octet_length(image.bytes) > 0"
    )
    assert [row[1] for row in read.fetchall()] == list(
        range(index.manifest.counts.neurons - index.manifest.counts.dead)
    )


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_few_neurons(tmp_path: Path, channels: int) -> None:
    index = raysel.open(build(tmp_path / "index", (Layer("a", channels, 7, 2),)).folder.path)
    assert write_atlas(index, tmp_path / "atlas.parquet") == channels
    rows = pq.read_table(tmp_path / "atlas.parquet").to_pylist()
    assert [sorted(row["neighbors"]["ids"]) for row in rows] == [list(range(channels))] * channels


def test_a_file_that_cannot_be_written(index: SearchableIndex, tmp_path: Path) -> None:
    with pytest.raises(RayselError, match=r"cannot write .*nowhere"):
        write_atlas(index, tmp_path / "nowhere" / "atlas.parquet")


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(4, 30), columns=st.integers(4, 20), filled=st.floats(0.2, 1), seed=st.integers(0, 10**6))
def test_principal_coordinates_are_those_of_a_full_decomposition(
    rows: int, columns: int, filled: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(size=(rows, columns)) * (rng.uniform(size=(rows, columns)) < filled)
    found = principal_coordinates(matrix)
    assert found == pytest.approx(principal_coordinates(sparse.csr_array(matrix)), abs=1e-6)
    centered = matrix - matrix.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centered, full_matrices=False)
    assert np.linalg.norm(found, axis=0) == pytest.approx(lengths[:2], abs=1e-6)
    if lengths[0] - lengths[1] > 1e-3 and lengths[1] - lengths[2] > 1e-3:
        assert np.abs(found) == pytest.approx(np.abs(left[:, :2] * lengths[:2]), abs=1e-5)
        assert all(found[np.argmax(np.abs(found[:, axis])), axis] > 0 for axis in (0, 1))


@pytest.mark.parametrize(
    "matrix", [np.zeros((9, 9)), np.ones((9, 9)), np.ones((2, 9)), np.ones((9, 2)), np.ones((0, 4))]
)
def test_without_variance_all_are_in_one_place(matrix: Any) -> None:
    assert (principal_coordinates(matrix) == np.zeros((len(matrix), 2))).all()
