"""The words that an index understands: color names, its layers, its classes, and the concepts above them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from raysel.errors import RayselError, did_you_mean
from raysel.images import imagenet1k
from raysel.images.labels.hierarchy import plain
from raysel.query.kept import kept
from raysel.selectivity.color_naming import NAMES
from raysel.store import Index

MAX_WORDS = 32
"""Words of a question: each takes a pass over all neurons."""
_GLOB = frozenset("*?[")
_SPELLINGS = {"grey": "gray"}
FILLERS = frozenset(
    ["a", "an", "and", "are", "by", "in", "is", "layer", "layers", "neuron", "neurons", "of", "on", "the", "to", "with"]
)
"""Words that say nothing, unless they are the name of something in the index."""


@dataclass(frozen=True, order=True)
class Meaning:
    """One thing that a word may mean."""

    kind: str
    """``color``, ``class``, ``classes`` (several, without a name of their own), ``concept`` or ``layer``."""
    name: str
    """For people."""
    members: tuple[str, ...]
    """Names of the color or of the layers, or labels of the classes."""

    def __str__(self) -> str:
        if self.kind == "layer" and len(self.members) > 1:
            return f"layers {self.name} ({len(self.members)} layers)"
        count = len(self.members)
        many = f" ({count} class{'es' * (count != 1)})" if self.kind in ("concept", "classes") else ""
        return f"{self.kind} {self.name}{many}"


@dataclass(frozen=True)
class Vocabulary:
    """Words of an index and their meanings."""

    layers: tuple[str, ...]
    colors: tuple[str, ...]
    labels: dict[str, list[str]]
    """Label of a class -> everything that it is called."""
    below: dict[str, list[str]]
    """Id of a concept -> labels of the classes below it."""
    elsewhere: frozenset[str]
    """Words for concepts of the hierarchy that no class of the index belongs to."""
    called: dict[str, list[str]]
    """Id of a concept -> everything that it is called."""
    shown: dict[str, str]
    """Id of a concept -> its name for people, with synonyms if other concepts have the same."""

    def read(self, text: str) -> list[tuple[str, tuple[Meaning, ...]]]:
        """Each word or phrase of a text with all its meanings. The longest phrase counts: ``red fox`` is one, if known.

        Raises:
            RayselError: a word is unknown, and the message names similar ones; or there are more than `MAX_WORDS`.
        """
        found, words = [], text.split()
        if len(words) > MAX_WORDS:
            raise RayselError(f"{len(words)} words are too many: give at most {MAX_WORDS}")
        while words:
            length, meanings = next(self._known(words), (0, ()))
            if meanings:
                found.append((" ".join(words[:length]), meanings))
            elif plain(words[0]) not in FILLERS:
                raise RayselError(self._unknown(words[0]))
            words = words[length or 1 :]
        if not found:
            raise RayselError(f"{text!r} asks for nothing: write a color, a class, a concept or a layer")
        return found

    def _known(self, words: list[str]) -> Iterator[tuple[int, tuple[Meaning, ...]]]:
        """(length, meanings) of the phrases with which `words` begins, longest first."""
        for length in range(min(len(words), self._longest), 0, -1):
            phrase = plain(" ".join(words[:length]))
            forms = [phrase, *_singulars(phrase)]
            if meanings := next((self._named[form] for form in forms if form in self._named), None):
                yield length, tuple(sorted(meanings))
            elif length == 1 and (layers := self._matching_layers(words[0])):
                yield 1, (Meaning("layer", words[0], layers),)

    def _matching_layers(self, word: str) -> tuple[str, ...]:
        """The layers that a glob matches, or that are in the module of this name."""
        globs = (word,) if set(word) & _GLOB else (f"{word}.*", f"{word}#*")
        return tuple(layer for layer in self.layers if any(fnmatchcase(layer, glob) for glob in globs))

    def _unknown(self, word: str) -> str:
        if set(word) & _GLOB:
            return f"no layer {word!r} in this index; {did_you_mean(word, self.layers)}"
        if plain(word) in self.elsewhere:
            return f"no image of this index shows {word!r}: no class is below this concept"
        return (
            f"{word!r} is not a color, class, concept or layer of this index; {did_you_mean(plain(word), self._named)}"
        )

    @cached_property
    def _named(self) -> dict[str, set[Meaning]]:
        named: defaultdict[str, set[Meaning]] = defaultdict(set)
        for color in self.colors:
            named[color].add(Meaning("color", color, (color,)))
        for spelling, color in _SPELLINGS.items():
            if color in self.colors:
                named[spelling].add(Meaning("color", color, (color,)))
        for layer in self.layers:
            named[plain(layer)].add(Meaning("layer", layer, (layer,)))
        shared = Counter(names[0] for names in self.labels.values())
        for label, names in self.labels.items():
            shown = names[0] if shared[names[0]] == 1 else f"{names[0]} ({label})"
            for name in names:
                named[plain(name)].add(Meaning("class", shown, (label,)))
        for concept, labels in self.below.items():
            for name in self.called[concept]:
                named[plain(name)].add(Meaning("concept", self.shown[concept], tuple(labels)))
        for word, labels in self._parts.items():  # "fox" finds "red fox", if nothing else is a fox
            if word not in named:
                named[word].add(Meaning("classes", word, tuple(labels)))
        return dict(named)

    @cached_property
    def _parts(self) -> dict[str, list[str]]:
        """Word -> labels of the classes that have it in a name of several words."""
        parts: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for label, names in self.labels.items():
            for name in names:
                for word in re.findall(r"[^\W_]+", name.casefold()):
                    if word not in FILLERS:
                        parts[word][label] = None
        return {word: list(labels) for word, labels in parts.items()}

    @cached_property
    def _longest(self) -> int:
        return max(len(name.split()) for name in self._named)


@kept
def vocabulary(index: Index) -> Vocabulary:
    """The words of an index, collected once."""
    hierarchy = imagenet1k().hierarchy
    labels: dict[str, list[str]] = {}
    below: defaultdict[str, list[str]] = defaultdict(list)
    for row in index.classes.select(["label", "name", "wnid", "hypernyms"]).to_pylist():
        synonyms = _words(hierarchy.words.get(row["wnid"], ""))
        labels[row["label"]] = _distinct([row["name"], *synonyms, row["label"], row["wnid"]])
        for concept in row["hypernyms"] or ():
            below[concept].append(row["label"])
    called = {concept: _distinct([*_words(hierarchy.words.get(concept, "")), concept]) for concept in below}
    shown = {concept: index.concept_name(concept) for concept in below}
    others = hierarchy.words.keys() - below.keys() - set(index.classes["wnid"].to_pylist())
    elsewhere = {plain(word) for concept in others for word in _words(hierarchy.words[concept])}
    colors = NAMES if "color_names" in index.neurons.column_names else ()
    return Vocabulary(index.layers, colors, labels, dict(below), frozenset(elsewhere), called, shown)


def _words(synonyms: str) -> list[str]:
    return [word.strip() for word in synonyms.split(",") if word.strip()]


def _distinct(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))


def _singulars(phrase: str) -> Iterator[str]:
    """What an English plural may be the plural of."""
    for ending, singular in (("ies", "y"), ("es", ""), ("s", "")):
        if phrase.endswith(ending) and len(phrase) > len(ending) + 1:
            yield phrase.removesuffix(ending) + singular
