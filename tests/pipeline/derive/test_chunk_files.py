"""Derived chunks in the folder of an index, and a layer's tables made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysel.errors import RayselError
from raysel.files import Folder
from raysel.interventions import COLUMNS as INTERVENTION_COLUMNS
from raysel.network import load
from raysel.neurons import Rankings, Tap
from raysel.pipeline.derive.chunk import Chunk, chunk_schema
from raysel.pipeline.derive.chunk_files import ChunkFiles
from raysel.selectivity import null_values
from raysel.store import FEATURES, SHEETS, TableWriter, neurons_schema
from tests.pipeline.test_against_reference import ZOO

FINGERPRINT = "f" * 32
LIVING = (0, 1, 4, 5)
"""Channels; those between them are dead."""


@pytest.fixture
def files(folder: Folder) -> ChunkFiles:
    return ChunkFiles(TableWriter(folder, FINGERPRINT))


@pytest.fixture(scope="module")
def tap() -> Tap:
    return load(ZOO).taps[0]


def rows_of(channels: range) -> list[dict[str, Any]]:
    """Neurons whose pictures and counts differ from each other."""
    rows = []
    for channel in channels:
        alive = channel in LIVING
        neuron = {"layer": "first", "channel": channel, "layer_depth": 0, "rf_size": 5, "rf_height": 5, "rf_width": 5}
        neuron |= {"rf_stride": 2.0, "rf_stride_x": 2.0, "rf_offset": -2.0, "rf_offset_x": -2.0, "rf_exact": True}
        neuron |= {"rf_reason": None, "a_max": 0.5 if alive else None, "n": int(alive)}
        picture = bytes([channel]) * 100
        feature = {
            "channel": channel,
            "height": 5,
            "width": 5,
            "picture": picture,
            "feature": picture,
            "count": picture,
        }
        sheet = {"channel": channel, "picture": picture * 2, "crops": 1, "columns": 1, "crop_height": 5}
        sheet |= {"crop_width": 5, "cell_height": 8, "cell_width": 8}
        rows.append(
            neuron
            | {"dead": not alive, "saturated": 0}
            | null_values()
            | dict.fromkeys(column.name for column in INTERVENTION_COLUMNS)
            | {"feature": feature if alive else None, "sheet": sheet if alive else None}
        )
    return rows


def put(files: ChunkFiles, tap: Tap) -> list[str]:
    """Two chunks of three neurons; returns their names."""
    names = []
    for channels in (range(3), range(3, 6)):
        chunk = Chunk(tap, channels.start, Rankings.empty(3, 4), np.zeros(3, np.int64))
        names.append(files.name(chunk))
        files.put(names[-1], pa.Table.from_pylist(rows_of(channels), schema=chunk_schema()))
    return names


def test_a_layer_s_tables_have_the_rows_of_its_chunks(files: ChunkFiles, folder: Folder, tap: Tap) -> None:
    assert files.present() == set()
    names = put(files, tap)
    assert files.present() == set(names)
    neurons, entries = files.write_layer("first", names)
    rows = rows_of(range(6))
    pictures = [{name: row.pop(name) for name in ("feature", "sheet")} for row in rows]
    assert neurons.to_pylist() == rows
    assert neurons.schema.equals(neurons_schema())
    for entry, name, schema in zip(entries, ("feature", "sheet"), (FEATURES, SHEETS), strict=True):
        assert entry.name == f"data/{FINGERPRINT}/{name}s/first.parquet"
        table = pq.read_table(pa.BufferReader(folder.read(entry.name)))
        assert table.schema.names == schema.names
        assert table.to_pylist() == [each[name] for each in pictures if each[name] is not None]


def test_a_chunk_of_dead_neurons(files: ChunkFiles, folder: Folder, tap: Tap) -> None:
    chunk = Chunk(tap, 2, Rankings.empty(2, 4), np.zeros(2, np.int64))
    files.put(files.name(chunk), pa.Table.from_pylist(rows_of(range(2, 4)), schema=chunk_schema()))
    neurons, entries = files.write_layer("first", [files.name(chunk)])
    assert neurons["channel"].to_pylist() == [2, 3]
    assert [len(pq.read_table(pa.BufferReader(folder.read(entry.name)))) for entry in entries] == [0, 0]


def with_flipped_bit(content: bytes, mark: bytes) -> bytes:
    """The last bit of `mark`, where it first stands."""
    end = content.index(mark) + len(mark)
    return content[: end - 1] + bytes([content[end - 1] ^ 1]) + content[end:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: with_flipped_bit(content, bytes([4]) * 99),  # in a picture
        lambda content: with_flipped_bit(content, b"rf_stride"),
        lambda content: content[:-100],
        lambda content: b"",
    ],
)
def test_a_damaged_chunk_is_removed(
    damage: Callable[[bytes], bytes], files: ChunkFiles, folder: Folder, tap: Tap
) -> None:
    """The next run derives it again."""
    names = put(files, tap)
    folder.put(names[1], damage(folder.read(names[1])))
    with pytest.raises(RayselError, match=r"/3\.parquet is damaged and has been removed: run again to resume$"):
        files.write_layer("first", names)
    assert files.present() == {names[0]}
    assert not folder.list("data")
