"""Hierarchies of concepts: which concept is above which, what they are called, and cuts through them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import pyarrow as pa

from raysel.errors import RayselError, did_you_mean
from raysel.files import redact_uri
from raysel.images.text_tables import text_columns


@dataclass(frozen=True)
class Hierarchy:
    """A graph of concepts without cycles, in which a concept may have several parents, as WordNet."""

    parents: Mapping[str, tuple[str, ...]]
    """Concept -> the concepts directly above it; none for a root."""
    words: Mapping[str, str]
    """Concept -> its synonyms, separated by commas. A concept without an entry is its own name."""

    def name(self, concept: str) -> str:
        """The first synonym, or all of them if it is also the first one of another concept."""
        first = self._first(concept)
        return first if len(self._by_first[plain(first)]) == 1 else self.words.get(concept, concept)

    def _first(self, concept: str) -> str:
        return self.words[concept].partition(",")[0] if concept in self.words else concept

    def steps(self, concept: str) -> dict[str, int]:
        """Each concept above one -> the fewest steps that lead to it. The concept itself is included, with 0 steps."""
        found, waiting = {concept: 0}, [concept]
        for below in waiting:  # breadth first: the list grows
            for parent in self.parents[below]:
                if parent not in found:
                    found[parent] = found[below] + 1
                    waiting.append(parent)
        return found

    def above(self, concept: str) -> list[str]:
        """All concepts above one, sorted."""
        return sorted(self.steps(concept).keys() - {concept})

    @cached_property
    def depths(self) -> dict[str, int]:
        """Concept -> steps of the longest path from a root, so that each concept is deeper than all above it."""
        depths: dict[str, int] = {}
        for concept in TopologicalSorter(self.parents).static_order():
            depths[concept] = 1 + max((depths[parent] for parent in self.parents[concept]), default=-1)
        return depths

    def concept(self, text: str) -> str:
        """The concept that a text names: by id, by first synonym, or by any synonym that no other concept has.

        Raises:
            RayselError: no concept has this name, or several have.
        """
        if text in self.parents:
            return text
        for named in (self._by_first, self._by_synonym):
            found = sorted(named.get(plain(text), ()))
            if len(found) > 1:
                raise RayselError(f"{text!r} names {len(found)} concepts: write one of {', '.join(found)}")
            if found:
                return found[0]
        raise RayselError(f"no concept {text!r} in the hierarchy; {did_you_mean(text, self._by_first)}")

    def cut(self, text: str) -> frozenset[str]:
        """The concepts that a text names: separated by commas, or a depth, which means all concepts of this depth.

        Raises:
            RayselError: one of them is not in the hierarchy.
        """
        names = [name.strip() for name in text.split(",") if name.strip()]
        if len(names) == 1 and names[0].isdecimal() and names[0] not in self.parents:
            depth = int(names[0])
            if found := frozenset(concept for concept, at in self.depths.items() if at == depth):
                return found
            raise RayselError(f"no concept has depth {depth}: the deepest have depth {max(self.depths.values())}")
        if not names:
            raise RayselError(f"{text!r} names no concept: write concepts such as dog,cat or a depth such as 7")
        return frozenset(self.concept(name) for name in names)

    @cached_property
    def _by_first(self) -> dict[str, set[str]]:
        """First synonym -> concepts."""
        return _grouped((self._first(concept), concept) for concept in self.parents)

    @cached_property
    def _by_synonym(self) -> dict[str, set[str]]:
        return _grouped((word, concept) for concept, words in self.words.items() for word in words.split(","))


def read_hierarchy(path: str) -> Hierarchy:
    """Read a hierarchy of one's own from CSV (``.csv``, ``.tsv``) or Parquet, by path or URI.

    It has a row per edge with the columns ``child`` and ``parent``, in which concepts are named by free text. A child
    may have several rows; one without a parent is a root.

    Raises:
        RayselError: the file is missing or unreadable, lacks a column, has no rows, or contains a cycle.
    """
    children, above = (column.to_pylist() for column in text_columns(path, ["child", "parent"]))
    parents: dict[str, dict[str, None]] = {}
    for child, parent in zip(children, above, strict=True):
        if child:
            parents.setdefault(child.strip(), {}).update({parent.strip(): None} if parent else {})
        if parent:
            parents.setdefault(parent.strip(), {})
    hierarchy = Hierarchy({concept: tuple(direct) for concept, direct in parents.items()}, {})
    shown = redact_uri(path)
    if not parents:
        raise RayselError(f"{shown} has no rows: write a row with child and parent per concept")
    try:
        hierarchy.depths  # noqa: B018, computed once, here where the file can be named
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise RayselError(f"{shown} is not a hierarchy, a concept is above itself: {cycle}") from None
    return hierarchy


def class_concepts(facts: pa.Table, hierarchy: Hierarchy) -> list[str | None]:
    """The concept that each class is: the one that its label, name or wnid names; None if there is none.

    Args:
        facts: a row per class, schema `CLASS_FACTS`.
        hierarchy: in which the label, name or wnid has to be a concept, in the same spelling.
    """
    rows = facts.select(["label", "name", "wnid"]).to_pylist()
    return [next((text for text in row.values() if text in hierarchy.parents), None) for row in rows]


def plain(text: str) -> str:
    """The text by which names are compared: case, and ``_`` for a space, do not matter."""
    return re.sub(r"[\s_]+", " ", text).strip().casefold()


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for text, concept in pairs:
        found.setdefault(plain(text), set()).add(concept)
    return found
