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
from raysel.neurons import ContactSheet
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
    sizes = duckdb.sql(f"select channel, octet_length(count) from '{_path(made, 'features/stem.parquet')}'").fetchall()
    assert set(sizes) == {(channel, 7 * 7 * 2) for layer, channel in made.features if layer == "stem"}


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


@pytest.mark.parametrize(("floats", "error"), [(False, 0.5 / 255 + 1e-6), (True, 2**-12)])
def test_a_feature_can_be_decoded(floats: bool, error: float) -> None:
    rng = np.random.default_rng(1)
    feature = rng.uniform(size=(5, 8, 3))
    count = rng.integers(0, 4, (5, 8))
    feature[count == 0] = 7.0
    row = feature_row(3, feature, count, floats=floats)
    assert (row["feature"] is None) == (not floats)
    back, count_back = decode_feature(row)
    assert back.dtype == np.float32
    assert back.shape == (5, 8, 3)
    np.testing.assert_array_equal(count_back, count)
    np.testing.assert_array_equal(np.isnan(back).all(axis=2), count == 0)
    np.testing.assert_allclose(back[count > 0], feature[count > 0], rtol=0, atol=error)


def test_a_feature_must_fit_its_count() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        feature_row(0, np.zeros((4, 4, 3)), np.zeros((4, 5), int), floats=False)


@pytest.mark.parametrize(("crops", "size"), [(1, (30, 30)), (7, (16, 24)), (10, (5, 5)), (23, (48, 40))])
def test_crops_can_be_cut_out_with_the_row_alone(crops: int, size: tuple[int, int]) -> None:
    height, width = size
    levels = np.arange(crops, dtype=np.uint8) * 10
    row = sheet_row(0, ContactSheet.of(np.broadcast_to(levels[:, None, None, None], (crops, *size, 3))))
    assert (row["crops"], row["crop_height"], row["crop_width"]) == (crops, height, width)
    pixels = np.asarray(Image.open(io.BytesIO(row["picture"])), float)
    for place, level in enumerate(levels.tolist()):
        line, column = divmod(place, row["columns"])
        top, left = line * row["cell_height"], column * row["cell_width"]
        np.testing.assert_allclose(pixels[top : top + height, left : left + width], level, rtol=0, atol=2)


def _ranking(w: np.ndarray) -> pa.Table:
    """400 entries of one neuron, as a scan of photographs gives them."""
    rng, entries = np.random.default_rng(3), len(w)
    row, column = rng.integers(0, 27, (2, entries))
    columns = {"layer": ["conv"] * entries, "channel": np.zeros(entries, int), "rank": np.arange(entries)}
    columns |= {"image": rng.permutation(5_000)[:entries], "activation": (7.3 * w).astype(np.float32), "w": w}
    columns |= {"row": row, "column": column, "x0": 8 * column - 5, "y0": 8 * row - 5}
    columns |= {"x1": 8 * column + 74, "y1": 8 * row + 74, "label": [None] * entries}
    return pa.table(columns)


def test_what_follows_from_other_columns_takes_little_space(tmp_path: Path) -> None:
    rows = _ranking(np.sort(np.random.default_rng(4).uniform(0.5, 1, 400))[::-1])
    entry = TableWriter(Folder.at(tmp_path), "f").rankings([rows])
    metadata = pq.read_metadata(tmp_path / entry.name)
    sizes = {
        column.path_in_schema: column.total_compressed_size for column in map(metadata.row_group(0).column, range(13))
    }
    bits = math.ceil(math.log2(27))  # of one of 27 places, and a list of the places
    for name in ("row", "column", "x0", "y0", "x1", "y1"):
        assert sizes[name] < 400 * bits / 8 + 27 * 4 + 100
    assert sizes["rank"] < 200
    assert sizes["activation"] < 400 * 4 * 0.9
    assert sizes["w"] < 400 * 8 * 0.95


def test_other_readers_find_the_same_rankings(made: Synthetic) -> None:
    duckdb, pandas = pytest.importorskip("duckdb"), pytest.importorskip("pandas")
    path = _path(made, "rankings.parquet")
    expected = [tuple(entry.values()) for entries in made.rankings.values() for entry in entries]
    assert duckdb.sql(f"select * from '{path}'").fetchall() == expected
    frame = pandas.read_parquet(path)[RANKINGS.names].astype(object)
    assert [tuple(row) for row in frame.where(frame.notna(), None).itertuples(index=False)] == expected
