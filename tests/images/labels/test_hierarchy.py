"""Hierarchies: WordNet's and those of files, what texts name in them, and cuts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysel.errors import RayselError
from raysel.images import Hierarchy, class_concepts, class_facts, imagenet1k, read_hierarchy

WORDNET = imagenet1k().hierarchy
EDGES = "child,parent\ndog,pet\ndog,hunter\ncat,pet\npet,animal\nhunter,animal\nanimal,\n"


@pytest.fixture
def own(tmp_path: Path) -> Hierarchy:
    (tmp_path / "own.csv").write_text(EDGES)
    return read_hierarchy(str(tmp_path / "own.csv"))


def test_a_file_of_edges(own: Hierarchy) -> None:
    assert own.parents["dog"] == ("pet", "hunter")
    assert {concept for concept, above in own.parents.items() if not above} == {"animal"}
    assert set(own.parents) == {"dog", "cat", "pet", "hunter", "animal"}
    assert own.steps("dog") == {"dog": 0, "pet": 1, "hunter": 1, "animal": 2}
    assert own.above("cat") == ["animal", "pet"]
    assert own.name("dog") == "dog"


def test_the_same_from_tsv_and_parquet(own: Hierarchy, tmp_path: Path) -> None:
    (tmp_path / "own.tsv").write_text(EDGES.replace(",", "\t"))
    rows = [line.split(",") for line in EDGES.splitlines()[1:]]
    pq.write_table(pa.table({"parent": [b for _, b in rows], "child": [a for a, _ in rows]}), tmp_path / "own.parquet")
    assert read_hierarchy(str(tmp_path / "own.tsv")) == own == read_hierarchy(str(tmp_path / "own.parquet"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "child,parent\na,b\nb,c\nc,a\nd,a\n",
            "own.csv is not a hierarchy, a concept is above itself: . -> . -> . -> .$",
        ),
        ("child,parent\na,a\n", "a concept is above itself: a -> a$"),
        ("child,over\na,b\n", "no column 'parent' in .*own.csv: it has child, over$"),
        ("child,parent\n", "own.csv has no rows"),
        ("child,parent\na,b,c\n", "cannot read .*own.csv"),
        (None, "no table at .*own.csv"),
    ],
)
def test_a_file_that_is_not_a_hierarchy(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "own.csv").write_text(text)
    with pytest.raises(RayselError, match=said) as raised:
        read_hierarchy(str(tmp_path / "own.csv"))
    assert "\n" not in str(raised.value)


def test_depth_is_the_longest_path_from_a_root() -> None:
    graph = Hierarchy({"a": (), "b": ("a",), "c": ("b", "a"), "d": ("a", "c"), "e": ()}, {})
    assert graph.depths == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 0}
    assert graph.steps("d") == {"d": 0, "a": 1, "c": 1, "b": 2}
    assert graph.cut("2") == {"c"}
    with pytest.raises(RayselError, match=r"^no concept has depth 4: the deepest have depth 3$"):
        graph.cut("4")


def test_every_class_of_imagenet_is_below_each_depth_that_it_reaches() -> None:
    for wnid in imagenet1k().wnids:
        above = {WORDNET.depths[concept] for concept in WORDNET.steps(wnid)}
        assert above == set(range(WORDNET.depths[wnid] + 1))


@pytest.mark.parametrize(
    ("text", "wnid"),
    [
        ("dog", "n02084071"),
        ("Domestic_Dog", "n02084071"),
        ("n02084071", "n02084071"),
        ("cat", "n02121620"),
        ("hunting dog", "n02087122"),
        ("entity", "n00001740"),
    ],
)
def test_names_in_wordnet(text: str, wnid: str) -> None:
    assert WORDNET.concept(text) == wnid


def test_a_name_in_a_file_is_a_concept_also_if_it_is_a_number_or_has_a_comma_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text('child,parent\n3,"birds, all"\n')
    own = read_hierarchy(str(tmp_path / "own.csv"))
    assert own.cut("3") == {"3"}
    assert own.name("birds, all") == own.concept("Birds, all") == "birds, all"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dgo", "^no concept 'dgo' in the hierarchy; did you mean .*dog"),
        ("dog,zzzzzz", "^no concept 'zzzzzz' in the hierarchy; the known names are "),
        ("crane", "^'crane' names 2 concepts: write one of n02012849, n03126707$"),
        (" , ", "names no concept: write concepts such as dog,cat or a depth such as 7$"),
    ],
)
def test_unknown_concepts_are_one_line(text: str, said: str) -> None:
    with pytest.raises(RayselError, match=said) as raised:
        WORDNET.cut(text)
    assert "\n" not in str(raised.value)


def test_names_of_concepts_are_short_unless_two_have_the_same() -> None:
    assert WORDNET.name("n02084071") == "dog"
    same = Hierarchy({"x": (), "y": (), "z": ()}, {"x": "bank, shore", "y": "bank, money", "z": "fish"})
    assert [same.name(concept) for concept in "xyz"] == ["bank, shore", "bank, money", "fish"]
    assert same.concept("Shore") == "x"


def test_classes_are_found_by_label_name_or_wnid(own: Hierarchy) -> None:
    assert class_concepts(class_facts(["tench", "n02084071", "pet"]), WORDNET) == ["n01440764", "n02084071", None]
    facts = class_facts(["dog", "bird", "animal"], hierarchy=own)
    assert class_concepts(facts, own) == ["dog", None, "animal"]
    assert facts["hypernyms"].to_pylist() == [["animal", "hunter", "pet"], None, []]
    named = pa.table({"label": ["0", "1"], "name": ["dog", None], "wnid": [None, "cat"]})
    assert class_concepts(named, own) == ["dog", "cat"]
