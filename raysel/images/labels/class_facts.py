"""What a label means: name, wnid and hypernyms of ImageNet's classes or of the user's own."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import pyarrow as pa

from raysel.images.labels.hierarchy import Hierarchy, class_concepts, plain

CLASS_FACTS = pa.schema(
    [
        pa.field("label", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("wnid", pa.string()),
        pa.field("hypernyms", pa.list_(pa.string())),
    ]
)
"""A row per label. `hypernyms`: wnids of all its hypernyms in WordNet 3.0 up to the root, sorted. If a run
has a hierarchy of its own, they are the concepts above the label in it."""

_WNID = re.compile(r"(n\d{8})(?:[-_ ].*)?", re.DOTALL)


@dataclass(frozen=True)
class Taxonomy:
    """ImageNet-1k's classes and the part of WordNet 3.0 above them."""

    wnids: tuple[str, ...]
    """The 1000 classes, in order of their index."""
    class_names: tuple[str, ...]
    """Their synonyms, as in ImageNet's own list: ``tench, Tinca tinca``."""
    hierarchy: Hierarchy
    """The classes and all their hypernyms, by wnid, with their synonyms. The root is ``entity``."""

    def name(self, wnid: str) -> str | None:
        """A short name: the first synonym, or all of them if two classes share it; None if the wnid is unknown."""
        if wnid in self._short:
            return self._short[wnid]
        words = self.hierarchy.words.get(wnid)
        return words.partition(",")[0] if words else None

    def hypernyms(self, wnid: str) -> list[str] | None:
        """Sorted wnids of all hypernyms of a synset, by every path; None if the wnid is unknown."""
        return self.hierarchy.above(wnid) if wnid in self.hierarchy.parents else None

    @cached_property
    def _short(self) -> dict[str, str]:
        """wnid -> short name, of the classes."""
        first = [name.partition(",")[0] for name in self.class_names]
        own = _unambiguous(zip(first, self.wnids, strict=True))
        named = zip(self.wnids, first, self.class_names, strict=True)
        return {wnid: short if own.get(short) == wnid else name for wnid, short, name in named}


@cache
def imagenet1k() -> Taxonomy:
    """The ImageNet-1k taxonomy that is part of raysel."""
    content = json.loads(resources.files("raysel.images.labels").joinpath("imagenet1k.json").read_text("utf-8"))
    return Taxonomy(
        tuple(wnid for wnid, _ in content["classes"]),
        tuple(name for _, name in content["classes"]),
        Hierarchy(
            {wnid: tuple(parents) for wnid, (_, parents) in content["synsets"].items()},
            {wnid: words for wnid, (words, _) in content["synsets"].items()},
        ),
    )


def class_facts(labels: Sequence[str], own: pa.Table | None = None, hierarchy: Hierarchy | None = None) -> pa.Table:
    """Name, wnid and hypernyms of some labels.

    Labels in `own` have the facts given there. Otherwise ``n01440764`` and ``n01440764-tench`` are wnids. An integer
    from 0 to 999 is an index into ImageNet-1k, unless the labels are exactly 0, 1 ... k-1 with k < 1000: these number
    the classes of another data set. A text is a class of ImageNet-1k if it is its list of synonyms, or one of them that
    no other class has; case, and ``_`` for a space, do not matter. A label that is not recognized has nulls.

    Args:
        labels: distinct labels of the images.
        own: the user's class list, schema `CLASS_FACTS`; see `read_class_list`.
        hierarchy: the user's own, which the hypernyms are then from; see `class_concepts`.

    Returns:
        Schema `CLASS_FACTS`, a row per label, in the order of `labels`.
    """
    given = {row["label"]: row for row in own.to_pylist()} if own is not None else {}
    others = [label for label in labels if label not in given]
    wnids = dict(zip(others, _wnids(others), strict=True))
    rows = [given[label] if label in given else _facts(label, wnids[label]) for label in labels]
    facts = pa.Table.from_pylist(rows, schema=CLASS_FACTS)
    if hierarchy is None:
        return facts
    above = [concept and hierarchy.above(concept) for concept in class_concepts(facts, hierarchy)]
    return facts.set_column(3, CLASS_FACTS.field(3), pa.array(above, CLASS_FACTS.field(3).type))


def _facts(label: str, wnid: str | None) -> dict[str, object]:
    if wnid is None:
        return {"label": label, "name": None, "wnid": None, "hypernyms": None}
    taxonomy = imagenet1k()
    return {"label": label, "name": taxonomy.name(wnid), "wnid": wnid, "hypernyms": taxonomy.hypernyms(wnid)}


def _wnids(labels: Sequence[str]) -> list[str | None]:
    """The wnid of each label; None if it is not recognized."""
    indices = {label: int(label) for label in labels if label.isascii() and label.isdigit() and len(label) <= 4}
    numbers = set(indices.values())
    by_index = bool(numbers) and len(numbers) == len(labels) and max(numbers) < len(imagenet1k().wnids)
    if numbers == set(range(len(numbers))) and len(numbers) < len(imagenet1k().wnids):
        by_index = False
    if by_index:
        return [imagenet1k().wnids[indices[label]] for label in labels]
    synonyms = _synonyms()
    return [found[1] if (found := _WNID.fullmatch(label)) else synonyms.get(plain(label)) for label in labels]


@cache
def _synonyms() -> dict[str, str]:
    """Synonym -> wnid: whole lists, and single synonyms that only one class has."""
    taxonomy = imagenet1k()
    lists = _unambiguous((plain(name), wnid) for wnid, name in zip(taxonomy.wnids, taxonomy.class_names, strict=True))
    single = _unambiguous(
        (plain(synonym), wnid)
        for wnid, name in zip(taxonomy.wnids, taxonomy.class_names, strict=True)
        for synonym in name.split(",")
    )
    return {**lists, **single}


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Text -> wnid, without the texts that belong to several wnids."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for text, wnid in pairs:
        found[text].add(wnid)
    return {text: min(several) for text, several in found.items() if len(several) == 1}
