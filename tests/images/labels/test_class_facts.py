"""What labels mean: ImageNet-1k's, and class lists of the user."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import raysel.images.labels
from raysel.errors import RayselError
from raysel.images import CLASS_FACTS, class_facts, read_class_list
from tests.images.labels.make_imagenet1k import imagenet1k

ENTITY = "n00001740"


def facts(*labels: str) -> list[tuple[str | None, str | None]]:
    table = class_facts(labels)
    assert table.schema == CLASS_FACTS
    assert table["label"].to_pylist() == list(labels)
    return list(zip(table["wnid"].to_pylist(), table["name"].to_pylist(), strict=True))


@pytest.mark.assets
def test_the_data_file_is_what_the_assets_say(assets: Path) -> None:
    file = Path(raysel.images.labels.__file__).with_name("imagenet1k.json")
    assert file.read_text() == imagenet1k(assets)
    assert file.stat().st_size < 300_000
    assert "gloss" not in file.read_text()
    assert "WordNet 3.0 Copyright 2006" in file.with_name("WORDNET-LICENSE").read_text()


@pytest.mark.assets
def test_hypernyms_are_all_ancestors(assets: Path) -> None:
    closure = json.loads((assets / "wordnet/imagenet_wordnet30_closure.json").read_text())
    classes = json.loads((assets / "wordnet/imagenet1k_classes.json").read_text())

    def above(wnid: str) -> set[str]:
        return set().union(*({parent} | above(parent) for parent in closure[wnid]["hypernyms"]))

    table = class_facts([str(entry["index"]) for entry in classes])
    assert table["wnid"].to_pylist() == [entry["wnid"] for entry in classes]
    for wnid, found in zip(table["wnid"].to_pylist(), table["hypernyms"].to_pylist(), strict=True):
        assert found == sorted(above(wnid))
        assert ENTITY in found


@pytest.mark.assets
def test_every_class_by_wnid_and_by_its_list_of_names(assets: Path) -> None:
    classes = json.loads((assets / "wordnet/imagenet1k_classes.json").read_text())
    for label, entry in zip(class_facts([each["name"] for each in classes])["wnid"].to_pylist(), classes, strict=True):
        assert label == (None if entry["name"] == "crane" else entry["wnid"])  # bird or machine
    table = class_facts([entry["wnid"] for entry in classes])
    assert table["wnid"].to_pylist() == [entry["wnid"] for entry in classes]
    names = table["name"].to_pylist()
    assert all(name in entry["name"] for name, entry in zip(names, classes, strict=True))
    assert len(set(names)) == 999  # the cranes


def test_wnids_names_and_unknown_labels() -> None:
    assert facts("n01440764", "n01440764_tench", "Great_White  shark", "n99999999", "n02084071", "blob", "n1") == [
        ("n01440764", "tench"),
        ("n01440764", "tench"),
        ("n01484850", "great white shark"),
        ("n99999999", None),
        ("n02084071", "dog"),
        (None, None),
        (None, None),
    ]


def test_indices() -> None:
    assert facts("0", "217", "999") == [
        ("n01440764", "tench"),
        ("n02102040", "English springer"),
        ("n15075141", "toilet tissue"),
    ]
    assert facts("0", "1", "tench")[:2] == [(None, None), (None, None)]  # names beside numbers: not indices
    assert facts("5", "1000") == [(None, None)] * 2
    assert facts("0", "00") == [(None, None)] * 2


def test_numbers_of_another_data_sets_classes_are_not_indices() -> None:
    assert facts(*(str(number) for number in range(10))) == [(None, None)] * 10
    assert facts(*(str(number) for number in range(1_000)))[1] == ("n01443537", "goldfish")


def test_a_name_of_two_classes_is_not_recognized() -> None:
    assert facts("crane", "polecat", "missile", "maillot", "maillot, tank suit") == [
        (None, None),
        (None, None),
        ("n03773504", "missile"),  # alone its whole list; the other one is "projectile, missile"
        ("n03710637", "maillot"),
        ("n03710721", "maillot, tank suit"),
    ]


def test_no_labels() -> None:
    assert class_facts([]).num_rows == 0


FORMS = {
    "names.json": '["cat", "tench"]',
    "map.json": '{"0": "cat", "1": "tench"}',
    "rows.json": '[{"label": 0, "name": "cat"}, {"index": "1", "name": "tench", "wnid": "n01440764"}]',
    "keras.json": '{"0": ["n02121808", "cat"], "1": ["n01440764", "tench"]}',
    "list.csv": "label,name\n0,cat\n1,tench\n",
    "other.tsv": "class_name\tclass_index\twnid\ncat\t0\t\ntench\t1\tn01440764\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_own_class_lists(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name])
    own = read_class_list(str(tmp_path / name))
    assert own.schema == CLASS_FACTS
    table = class_facts(["1", "n01443537", "0", "7"], own)
    assert table["name"].to_pylist() == ["tench", "goldfish", "cat", None]
    assert table["hypernyms"].to_pylist()[0] == (
        class_facts(["n01440764"])["hypernyms"].to_pylist()[0] if "n01440764" in FORMS[name] else None
    )


def test_wnids_alone_add_their_names(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("label,wnid\nfish,n01440764\nother,n99999999\n")
    own = read_class_list(str(tmp_path / "list.csv"))
    assert own["name"].to_pylist() == ["tench", None]
    pq.write_table(own.select(["label", "wnid"]), tmp_path / "list.parquet")
    assert read_class_list(str(tmp_path / "list.parquet")).equals(own)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "cannot read .*a.json"),
        ("a.json", "3", "is not a class list"),
        ("a.json", "[]", "is not a class list"),
        ("a.json", '[["a", "b", "c"]]', "is not a class list"),
        ("a.csv", "label,color\n1,red\n", "no column 'name' or 'wnid' .* it has label, color"),
        ("a.csv", "label,name\n1,a\n1,b\n", "contains class '1' twice"),
        ("b.csv", None, "no table at .*b.csv"),
    ],
)
def test_a_file_that_is_not_a_class_list(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(RayselError, match=said):
        read_class_list(str(tmp_path / name))
