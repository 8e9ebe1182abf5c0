"""An open index returns what was written, and reads little more than it returns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import raysel
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.store import Index, neuron_address, read_manifest
from tests.store.synthetic import CLASS_NAMES, FINGERPRINT, IMAGES_COUNT, LAYERS, Layer, Synthetic, build


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return build(tmp_path_factory.mktemp("index"))


@pytest.fixture
def index(made: Synthetic) -> Index:
    return raysel.open(made.folder.path)


def test_manifest_and_tables(made: Synthetic, index: Index) -> None:
    assert index.manifest == made.manifest
    assert index.neurons.to_pylist() == made.rows
    assert index.layers == tuple(layer.name for layer in LAYERS)
    assert index.images.num_rows == IMAGES_COUNT
    assert {row["label"]: row["name"] for row in index.classes.to_pylist()} == CLASS_NAMES
    assert index.quarantine.to_pylist() == [{"image": 3, "key": "key0003", "shard": "a.tar", "reason": "truncated"}]
    assert index.shards.column_names == ["shard", "name", "size", "etag"]


def test_neurons_become_a_pandas_frame(made: Synthetic, index: Index) -> None:
    frame = index.neurons.to_pandas()
    assert frame["channel"].tolist() == [row["channel"] for row in made.rows]


def test_every_neuron(made: Synthetic, index: Index) -> None:
    for row in made.rows:
        address = (row["layer"], row["channel"])
        neuron = index.neuron(*address)
        assert neuron.row == row
        assert neuron.address == f"{row['layer']}:{row['channel']}"
        assert neuron.ranking.to_pylist() == made.rankings.get(address, [])
        shares = [(entry["label"], CLASS_NAMES[entry["label"]], entry["share"]) for entry in row["classes"] or []]
        assert neuron.classes == shares
        if row["dead"]:
            assert (neuron.feature, neuron.count, neuron.picture, neuron.sheet) == (None, None, None, None)
            assert neuron.crops == []


def test_feature_and_picture(made: Synthetic, index: Index) -> None:
    for address in [("stem", 0), ("features.3.squeeze", 3), ("features.10", 39)]:
        neuron = index.neuron(*address)
        feature, count, picture = neuron.feature, neuron.count, neuron.picture
        assert feature is not None
        assert picture is not None
        shown = made.counts[address] > 0
        np.testing.assert_array_equal(count, made.counts[address])
        assert np.isnan(feature[~shown]).all()
        np.testing.assert_allclose(feature[shown], made.features[address][shown], atol=0.5 / 255 + 1e-6)
        pixels = np.asarray(picture, float)
        np.testing.assert_array_equal(pixels[..., 3] == 255, shown)
        np.testing.assert_allclose(pixels[shown][:, :3] / 255, made.features[address][shown], atol=0.5 / 255 + 1e-9)


def test_crops_in_rank_order(made: Synthetic, index: Index) -> None:
    address = ("features.10", 1)
    crops = index.neuron(*address).crops
    assert len(crops) == len(made.crops[address])
    for crop, original in zip(crops, made.crops[address], strict=True):
        # The crops differ by noise of 0.05; JPEG adds less.
        errors = [np.abs(np.asarray(crop) / 255 - other).mean() for other in made.crops[address]]
        assert min(errors) == np.abs(np.asarray(crop) / 255 - original).mean()


def test_images_of_some_ids(index: Index) -> None:
    assert index.images_of([9, 2, 9, 50])["key"].to_pylist() == ["key0009", "key0002", "key0050"]
    assert index.images_of([]).num_rows == 0
    with pytest.raises(RayselError, match="no image 60 in this index"):
        index.images_of([60])


class _CountingFolder(Folder):
    """Counts the bytes that are read from each file."""

    counted: dict[str, int]

    def open(self, name: str) -> Any:
        counted = self.counted
        source = super().open(name)

        class Counting:
            closed = False

            def read(self, size: int = -1) -> bytes:
                data = source.read(size) if size >= 0 else source.read()
                counted[name] = counted.get(name, 0) + len(data)
                return bytes(data)

            def seek(self, offset: int, whence: int = 0) -> int:
                return int(source.seek(offset, whence))

            def tell(self) -> int:
                return int(source.tell())

            def close(self) -> None:
                source.close()

        return pa.PythonFile(Counting(), mode="r")


def test_one_neuron_is_read_without_the_rest(tmp_path: Path) -> None:
    made = build(tmp_path, (*LAYERS[:2], Layer("features.10", 160, 48, 8)))
    folder = _CountingFolder(made.folder.filesystem, made.folder.path, made.folder.shown)
    object.__setattr__(folder, "counted", {})
    neuron = Index(folder, read_manifest(folder)).neuron("features.10", 33)
    folder.counted.clear()
    assert neuron.feature is not None
    assert neuron.crops
    assert neuron.ranking.num_rows
    data = f"data/{FINGERPRINT}"
    expected = {
        f"{data}/features/features.10.parquet",
        f"{data}/sheets/features.10.parquet",
        f"{data}/rankings.parquet",
    }
    assert set(folder.counted) == expected
    sizes = {entry.name: entry.size for entry in made.manifest.files}
    # 145 neurons that are not dead are in groups of 16; the footer is read with the last 64 KiB of the file.
    for table in ("features", "sheets"):
        name = f"{data}/{table}/features.10.parquet"
        assert folder.counted[name] < 0.15 * sizes[name] + 65_536
        assert sizes[name] > 4 * 65_536


def test_only_the_row_groups_that_may_hold_it(made: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    read: list[list[int]] = []
    plain = pq.ParquetFile.read_row_groups

    def watched(self: pq.ParquetFile, groups: list[int], **options: Any) -> pa.Table:
        read.append(groups)
        return plain(self, groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", watched)
    index = raysel.open(made.folder.path)
    # Row groups of the rankings: 64 neurons of the stem, all that are not dead; 11 and 36 of the other layers.
    assert index.neuron("stem", 0).ranking.num_rows
    assert index.neuron("features.3.squeeze", 0).ranking.num_rows
    assert index.neuron("features.10", 39).ranking.num_rows
    assert index.neuron("stem", 5).ranking.num_rows == 0
    assert read == [[0], [1], [2], [0]]


@pytest.mark.parametrize(
    ("layer", "channel", "line"),
    [
        ("features.3.sqeeze", 0, "no layer 'features.3.sqeeze' in this index; did you mean features.3.squeeze"),
        ("xyz", 0, "no layer 'xyz' in this index; the known names are features.10, features.3.squeeze, stem"),
        ("stem", 70, "layer stem has channels 0 to 69, not 70"),
        ("stem", -1, "layer stem has channels 0 to 69, not -1"),
    ],
)
def test_unknown_neurons(index: Index, layer: str, channel: int, line: str) -> None:
    with pytest.raises(RayselError) as raised:
        index.neuron(layer, channel)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def test_addresses() -> None:
    assert neuron_address("features.3:12") == ("features.3", 12)
    assert neuron_address("a:b:0") == ("a:b", 0)
    huge = "9" * 5_000
    for text in ("features.3", "features.3:", ":3", "a:-1", "a:1.5", "a:x", "a:²", "a:٣", "a:07", f"a:{huge}", ""):
        with pytest.raises(RayselError, match="write LAYER:CHANNEL"):
            neuron_address(text)


def test_no_index_here(tmp_path: Path) -> None:
    with pytest.raises(RayselError, match=f"no index in {tmp_path}"):
        raysel.open(tmp_path)
    with pytest.raises(RayselError, match="no index in"):
        raysel.open(tmp_path / "nothing")


def test_an_index_without_its_manifest_is_unfinished(tmp_path: Path) -> None:
    build(tmp_path, published=False)
    with pytest.raises(RayselError, match="unfinished"):
        raysel.open(tmp_path)


def test_a_missing_or_damaged_file_is_one_line(tmp_path: Path) -> None:
    made = build(tmp_path, LAYERS[:1])
    index = raysel.open(tmp_path)
    path = tmp_path / made.manifest.data / "rankings.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RayselError, match=r"rankings\.parquet is damaged"):
        _ = index.neuron("stem", 0).ranking
    path.unlink()
    with pytest.raises(RayselError, match=r"rankings\.parquet is missing: if the index was replaced meanwhile"):
        _ = index.neuron("stem", 0).ranking


def test_importing_raysel_and_its_store_is_light() -> None:
    program = "import sys, raysel; a = len(sys.modules); assert 'pyarrow' not in sys.modules; raysel.open; " + (
        "heavy = {'torch', 'ray', 'scipy', 'pandas'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_unknown_names_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'close'"):
        _ = raysel.close
