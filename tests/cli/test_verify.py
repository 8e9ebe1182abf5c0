"""``raysel verify``: an index that is as recorded, and each way in which it can differ."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.typed import Ended, copy_of
from tests.typed import raysel_here as type_in


@pytest.fixture
def place(home: Path, indexed: Ended, tmp_path: Path) -> Path:
    """A copy of `home` with its index, to damage."""
    assert indexed.status == 0, indexed.err
    return copy_of(home, tmp_path / "home")


def table_of(place: Path, name: str) -> Path:
    [path] = place.glob(f"index/data/*/{name}.parquet")
    return path


def rewrite(place: Path, name: str, table: pa.Table) -> None:
    """Replace a table, and adapt the manifest to the new one."""
    path, manifest = table_of(place, name), place / "index" / "manifest.json"
    pq.write_table(table, path)
    content = json.loads(manifest.read_text())
    [entry] = [each for each in content["files"] if each["name"].endswith(f"{name}.parquet")]
    entry["size"], entry["sha256"] = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))


def changed(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    number = table.schema.get_field_index(column)
    return table.set_column(number, table.schema.field(number), values.cast(table.schema.field(number).type))


def test_all_is_as_recorded(home: Path, indexed: Ended):
    run = json.loads(indexed.out)
    manifest = json.loads((home / "index" / "manifest.json").read_text())
    ended = type_in(home, "verify", "index", "--json")
    assert (ended.status, ended.err) == (0, "")
    alive = run["neurons"] - run["dead"]
    # Without padding every crop lies within the image, and fields of 3 and 7 pixels are smaller than its 32.
    assert json.loads(ended.out) == {
        "index": "index",
        "files": len(manifest["files"]),
        "runs": 4 * alive,  # every ranking has at least four images
        "crops": 4 * alive,
        "problems": [],
    }


def test_the_verdict_is_one_line(home: Path, indexed: Ended):
    ended = type_in(home, "verify", "index", "--neurons", "3", "--top", "2")
    assert (ended.status, ended.err) == (0, "")
    verdict = " files, 6 activations run again, 6 of them also from their crop alone: all as recorded\n"
    assert ended.out.endswith(verdict)
    assert len(ended.out.splitlines()) == 1


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize("damage", [flip_a_byte, cut_short, Path.unlink])
@pytest.mark.parametrize("name", ["rankings", "features/0"])
def test_a_damaged_file_is_named(place: Path, damage, name):
    damage(table_of(place, name))
    ended = type_in(place, "verify", "index")
    assert ended.status == 1
    problem, verdict = ended.out.splitlines()
    assert f"{name}.parquet" in problem
    assert verdict.endswith("1 problem")


def test_an_activation_that_differs_in_a_new_run(place: Path):
    table = pq.read_table(table_of(place, "rankings"))
    is_one = pc.and_(pc.equal(table["layer"].cast(pa.string()), "2"), pc.equal(table["channel"], 1))
    is_one = pc.and_(is_one, pc.equal(table["rank"], 0))
    assert pc.sum(is_one).as_py() == 1, "the neuron is not dead"
    factor = pc.if_else(is_one, 1.001, 1.0)
    rewrite(place, "rankings", changed(table, "activation", pc.multiply(table["activation"], factor)))
    ended = type_in(place, "verify", "index")
    assert ended.status == 1
    in_full, alone, verdict = ended.out.splitlines()
    assert in_full.startswith("2:1, rank 0")
    assert "a new run gives" in in_full
    assert alone.startswith("2:1, rank 0")
    assert "its crop alone gives" in alone
    assert verdict.endswith("2 problems")


def test_a_position_that_differs_in_a_new_run(place: Path):
    table = pq.read_table(table_of(place, "rankings"))
    rewrite(place, "rankings", changed(table, "column", pc.add(table["column"], 1)))
    ended = type_in(place, "verify", "index", "--neurons", "1", "--top", "1")
    assert ended.status == 1
    assert "position" in ended.out.splitlines()[0]


def test_other_weights(place: Path):
    network = place / "tiny_network.py"
    network.write_text(network.read_text().replace("manual_seed(3)", "manual_seed(33)"))
    ended = type_in(place, "verify", "index")
    assert ended.status == 1
    assert "weights" in ended.out.splitlines()[0]


def test_images_that_were_moved(place: Path, tmp_path: Path):
    content = (place / "index" / "manifest.json").read_text()
    moved = json.loads(content)
    moved["config"]["source"]["images"] = str(place / "images")
    (place / "index" / "manifest.json").write_text(json.dumps(moved))
    shutil.move(place / "images", tmp_path / "elsewhere")
    assert "images" in type_in(place, "verify", "index").fault
    ended = type_in(place, "verify", "index", "--images", str(tmp_path / "elsewhere"))
    assert ended.status == 0, ended.out


def test_an_image_that_is_gone_is_named(place: Path):
    for path in (place / "images").glob("*/*.png"):
        path.write_bytes(b"not an image")
    ended = type_in(place, "verify", "index", "--images", "images", "--neurons", "1", "--top", "1")
    assert ended.status == 1
    assert ended.out.splitlines()[0].startswith("image ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "no index in nowhere"),
        (["images"], "no index in images"),
        (["index", "--neurons", "0"], "--neurons"),
        (["index", "--top", "-1"], "--top"),
        (["index", "--seed", "-1"], "--seed"),
        ([], "INDEX"),
    ],
)
def test_arguments_that_cannot_be_verified(home: Path, indexed: Ended, arguments, says):
    assert says in type_in(home, "verify", *arguments).fault
