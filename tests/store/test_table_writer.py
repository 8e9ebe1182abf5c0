"""The tables can be read by any Parquet reader, and in small pieces."""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raysel.files import Folder
from raysel.store import (
    FEATURES,
    RANKINGS,
    TableWriter,
    decode_feature,
    documented,
    feature_row,
    neurons_schema,
    sheet_row,
)
from tests.store.synthetic import FINGERPRINT, LAYERS, Synthetic, build


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return build(tmp_path_factory.mktemp("index"))


def _path(made: Synthetic, name: str) -> Path:
    return Path(made.folder.path, "data", FINGERPRINT, name)


def test_entries_have_size_and_digest(made: Synthetic) -> None:
    names = {entry.name for entry in made.manifest.files}
    assert len(names) == len(made.manifest.files) == 6 + 2 * len(LAYERS)
    for entry in made.manifest.files:
        data = Path(made.folder.path, entry.name).read_bytes()
        assert (entry.size, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_neurons_in_the_order_of_the_network(made: Synthetic) -> None:
    table = pq.read_table(_path(made, "neurons.parquet"))
    assert table.schema.names == neurons_schema().names
    assert table.to_pylist() == made.rows
    assert pq.ParquetFile(_path(made, "neurons.parquet")).num_row_groups == len(LAYERS)


def test_row_groups_of_rankings_hold_whole_neurons_of_one_layer(made: Synthetic) -> None:
    parquet = pq.ParquetFile(_path(made, "rankings.parquet"))
    expected = [entry for entries in made.rankings.values() for entry in entries]
    assert parquet.read().to_pylist() == expected
    seen: set[tuple[str, int]] = set()
    for group in range(parquet.num_row_groups):
        rows = parquet.read_row_group(group, ["layer", "channel"]).to_pylist()
        neurons = {(row["layer"], row["channel"]) for row in rows}
        assert len({layer for layer, _ in neurons}) == 1
        assert len(neurons) <= 64
        assert not neurons & seen
        seen |= neurons
        statistics = parquet.metadata.row_group(group).column(0).statistics
        assert statistics.min == statistics.max == rows[0]["layer"]
    assert parquet.num_row_groups == 3
    assert seen == set(made.rankings)


def test_row_groups_of_pictures_hold_sixteen_neurons(made: Synthetic) -> None:
    for table in ("features", "sheets"):
        metadata = pq.read_metadata(_path(made, f"{table}/stem.parquet"))
        present = sum(row["layer"] == "stem" and not row["dead"] for row in made.rows)
        assert metadata.num_row_groups == math.ceil(present / 16)
        # The footer is read for every neuron, so it must not contain pictures.
        assert metadata.serialized_size < 8_000


def test_every_column_has_a_description_also_in_its_file(made: Synthetic) -> None:
    rows = documented()
    assert {table for table, *_ in rows} == {
        "neurons",
        "rankings",
        "images",
        "shards",
        "classes",
        "quarantine",
        "features",
        "sheets",
    }
    assert all(description and "\n" not in description for *_, description in rows)
    for table in ("neurons", "rankings", "images", "shards", "classes", "quarantine", "features", "sheets"):
        name = f"{table}/stem.parquet" if table in ("features", "sheets") else f"{table}.parquet"
        schema = pq.read_schema(_path(made, name))
        in_file = {field.name: field.metadata[b"description"].decode() for field in schema}
        assert in_file == {column: text for of, column, _, text in rows if of == table}


def test_documented_types_are_the_readers_types() -> None:
    types = {(table, column): kind for table, column, kind, _ in documented()}
    assert types["rankings", "layer"] == "string"
    assert types["classes", "hypernyms"] == "list<string>"


def test_duckdb_reads_it(made: Synthetic) -> None:
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(
        f"select n.layer, n.channel, count(*) from '{_path(made, 'neurons.parquet')}' n "
        f"join '{_path(made, 'rankings.parquet')}' r using (layer, channel) where r.w >= 0.7 group by all order by 1, 2"
    ).fetchall()
    expected = sorted(
        (layer, channel, sum(entry["w"] >= 0.7 for entry in entries))
        for (layer, channel), entries in made.rankings.items()
    )
    assert found == expected
    sizes = duckdb.sql(
        f"select channel, octet_length(feature) from '{_path(made, 'features/stem.parquet')}'"
    ).fetchall()
    assert set(sizes) == {(channel, 7 * 7 * 3 * 2) for layer, channel in made.features if layer == "stem"}


def test_pandas_reads_it(made: Synthetic) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(_path(made, "neurons.parquet"))
    assert frame["layer"].tolist() == [row["layer"] for row in made.rows]
    assert frame["a_max"].isna().tolist() == [row["dead"] for row in made.rows]


def _ranking_rows(*neurons: tuple[str, int]) -> pa.Table:
    row = dict.fromkeys(RANKINGS.names, 0) | {"label": None}
    return pa.Table.from_pylist([row | {"layer": layer, "channel": channel} for layer, channel in neurons], RANKINGS)


@pytest.mark.parametrize(
    "neurons",
    [
        [("a", 1), ("a", 0)],
        [("a", 0), ("b", 0), ("a", 1)],
        [("a", 0), ("a", 1), ("a", 0)],
    ],
)
def test_rows_out_of_order_are_refused(tmp_path: Path, neurons: list[tuple[str, int]]) -> None:
    writer = TableWriter(Folder.at(tmp_path), "f")
    with pytest.raises(ValueError, match="not sorted"):
        writer.rankings([_ranking_rows(*neurons)])
    with pytest.raises(ValueError, match="not sorted"):
        writer.rankings(_ranking_rows(neuron) for neuron in neurons)
    assert not any(tmp_path.rglob("*.parquet"))


def test_files_do_not_depend_on_how_the_stream_is_cut(tmp_path: Path) -> None:
    neurons = [("a", channel) for channel in range(150)] + [("b", channel) for channel in range(3)]
    digests = set()
    for name, cut in (("one", 153), ("some", 70), ("single", 1)):
        tables = (_ranking_rows(*neurons[first : first + cut]) for first in range(0, len(neurons), cut))
        entry = TableWriter(Folder.at(tmp_path / name), "f").rankings(tables)
        metadata = pq.read_metadata(tmp_path / name / entry.name)
        assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [64, 64, 22, 3]
        digests.add(entry.sha256)
    assert len(digests) == 1


def test_other_columns_are_refused(tmp_path: Path) -> None:
    writer = TableWriter(Folder.at(tmp_path), "f")
    with pytest.raises(ValueError, match="columns missing or unknown: extra, label"):
        writer.rankings([_ranking_rows(("a", 0)).rename_columns([*RANKINGS.names[:-1], "extra"])])


def test_an_empty_stream_is_an_empty_table(tmp_path: Path) -> None:
    entry = TableWriter(Folder.at(tmp_path), "f").features("conv", [])
    table = pq.read_table(tmp_path / entry.name)
    assert table.num_rows == 0
    assert table.schema.names == FEATURES.names


def test_layer_names_become_file_names(tmp_path: Path) -> None:
    entry = TableWriter(Folder.at(tmp_path), "f").features("block/../conv 1", [])
    assert Path(tmp_path, entry.name).resolve().parent == tmp_path / "data" / "f" / "features"


def test_a_feature_can_be_decoded() -> None:
    rng = np.random.default_rng(1)
    feature = rng.uniform(size=(5, 8, 3))
    count = rng.integers(0, 4, (5, 8))
    feature[count == 0] = 7.0
    back, count_back = decode_feature(feature_row(3, feature, count))
    assert back.dtype == np.float32
    assert back.shape == (5, 8, 3)
    np.testing.assert_array_equal(count_back, count)
    np.testing.assert_array_equal(np.isnan(back).all(axis=2), count == 0)
    np.testing.assert_allclose(back[count > 0], feature[count > 0], rtol=2**-11)


def test_a_feature_must_fit_its_count() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        feature_row(0, np.zeros((4, 4, 3)), np.zeros((4, 5), int))


@pytest.mark.parametrize(("crops", "size"), [(1, (30, 30)), (7, (16, 24)), (10, (5, 5)), (23, (48, 40))])
def test_crops_can_be_cut_out_with_the_row_alone(crops: int, size: tuple[int, int]) -> None:
    height, width = size
    levels = [10 * place for place in range(crops)]
    lines = -(-crops // 10)
    sheet = np.full((lines * (height + 2) - 2, 10 * (width + 2) - 2, 3), 255, np.uint8)
    for place, level in enumerate(levels):
        top, left = place // 10 * (height + 2), place % 10 * (width + 2)
        sheet[top : top + height, left : left + width] = level
    row = sheet_row(0, sheet, crops)
    assert (row["crops"], row["crop_height"], row["crop_width"]) == (crops, height, width)
    pixels = np.asarray(Image.open(io.BytesIO(row["picture"])), float)
    for place, level in enumerate(levels):
        line, column = divmod(place, row["columns"])
        top, left = line * (height + row["gap"]), column * (width + row["gap"])
        assert abs(float(pixels[top : top + height, left : left + width].mean()) - level) < 2
