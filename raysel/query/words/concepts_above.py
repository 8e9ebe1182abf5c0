"""The concepts above the classes of an index that tell its classes apart."""

from __future__ import annotations

from raysel.query.kept import kept
from raysel.store import Index


@kept
def concepts_above(index: Index) -> dict[str, tuple[str, ...]]:
    """Label of a class -> sorted ids of the concepts above it, without those above every class.

    Classes that are not in the hierarchy are missing.
    """
    labels, hypernyms = (index.classes[name].to_pylist() for name in ("label", "hypernyms"))
    above = {label: frozenset(each) for label, each in zip(labels, hypernyms, strict=True) if each is not None}
    everywhere = frozenset.intersection(*above.values()) if above else frozenset()
    return {label: tuple(sorted(concepts - everywhere)) for label, concepts in above.items()}
