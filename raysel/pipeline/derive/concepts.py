"""What the indexes are given of the hierarchy: the part of it above the classes of the images."""

from __future__ import annotations

import pyarrow as pa

from raysel.images import Hierarchy, class_concepts
from raysel.selectivity import Concepts


def concepts_above(classes: pa.Table, hierarchy: Hierarchy, cut: frozenset[str] | None) -> Concepts:
    """The concepts above some classes.

    Args:
        classes: a row per class, schema `raysel.images.CLASS_FACTS`.
        hierarchy: WordNet or the run's own.
        cut: concepts at which it is cut; None without a cut.
    """
    of_class = class_concepts(classes, hierarchy)
    above = [{} if concept is None else hierarchy.steps(concept) for concept in of_class]
    known = sorted(set().union(*above))
    return Concepts(
        above,
        {concept: hierarchy.depths[concept] for concept in known},
        {concept: hierarchy.name(concept) for concept in known},
        cut,
    )
