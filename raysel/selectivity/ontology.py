"""Classes in a hierarchy of concepts (paper, Fig. 7): the concept that covers a neuron, and gamma at a cut."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from raysel.selectivity.class_selectivity import TOLERANCE, class_shares, fewest_classes
from raysel.selectivity.evidence import Concepts, Evidence, SelectivityIndex, Value, column


def ontology(evidence: Evidence) -> dict[str, Value]:
    """The covering concept with its share, and Eq. 4 with the classes below each concept of the cut as one.

    All values are None if none of the images has a class in the hierarchy. There is no covering concept if none reaches
    ``concept_share``, and there is no class selectivity of concepts without a cut, or if N = 1.
    """
    values: dict[str, Value] = dict.fromkeys(field.name for field in INDEX.columns)
    concepts, labels = evidence.concepts, evidence.labels
    if any(concepts.above[number] for number in labels[labels >= 0].tolist()):
        shares = concept_shares(evidence)
        covering = [each for each, share in shares.items() if share >= evidence.derive.concept_share - TOLERANCE]
        if covering:
            concept = min(covering, key=lambda each: (-concepts.depths[each], -round(shares[each], 9), each))
            values |= {
                "concept": concepts.names[concept],
                "concept_wnid": concept,
                "concept_share": min(shares[concept], 1.0),
            }
        if concepts.cut is not None:
            values |= _at_cut(evidence, concepts, concepts.cut)
    return values


def concept_shares(evidence: Evidence) -> dict[str, float]:
    """Id -> share of the activation of each concept: the share f of each class (Eq. 3) counts once for its own concept
    and once for every concept above it, by however many paths."""
    below: dict[str, list[float]] = {}
    numbers, shares = class_shares(evidence.weights, evidence.labels)
    for number, share in zip(numbers.tolist(), shares.tolist(), strict=True):
        for concept in evidence.concepts.above[number]:
            below.setdefault(concept, []).append(share)
    return {concept: math.fsum(of_classes) for concept, of_classes in below.items()}


def _at_cut(evidence: Evidence, concepts: Concepts, cut: frozenset[str]) -> dict[str, Value]:
    """Eq. 3 and 4 where each class goes to the nearest concept of the cut above it, and otherwise keeps itself.

    Nearest is the one with the fewest steps, of several the one with the smallest id.
    """
    group_of = {}
    for number in set(evidence.labels[evidence.labels >= 0].tolist()):
        above = [(steps, concept) for concept, steps in concepts.above[number].items() if concept in cut]
        group_of[number] = min(above)[1] if above else evidence.class_labels[number]
    groups = sorted(set(group_of.values()))
    numbers = np.array([groups.index(group_of[label]) if label >= 0 else -1 for label in evidence.labels.tolist()])
    found, shares = class_shares(evidence.weights, numbers)
    m, gamma = fewest_classes(shares, evidence.derive.class_threshold, int(np.count_nonzero(numbers >= 0)))
    listed = [
        {"label": concepts.names.get(groups[number], groups[number]), "share": share}
        for number, share in zip(found[:m].tolist(), shares[:m].tolist(), strict=True)
    ]
    return {"concept_selectivity": gamma, "concept_classes": listed}


INDEX = SelectivityIndex(
    name="ontology",
    columns=(
        column("concept", pa.string(), "Covering concept: the deepest one with a share of at least concept_share"),
        column("concept_wnid", pa.string(), "Its WordNet id, or its name in a hierarchy of your own"),
        column("concept_share", pa.float64(), "Share of the activation of the classes below it"),
        column("concept_selectivity", pa.float64(), "Eq. 4 with the classes below each of the concepts as one"),
        column(
            "concept_classes",
            pa.list_(pa.struct([("label", pa.string()), ("share", pa.float64())])),
            "As classes, with the classes below each of the concepts as one",
        ),
    ),
    measure=ontology,
)
