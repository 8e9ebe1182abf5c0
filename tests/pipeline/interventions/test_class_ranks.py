"""How many classes come before an image's own."""

from __future__ import annotations

import numpy as np

from raysel.pipeline.interventions.classifier_actor import class_ranks


def plain_rank(scores: list[float], own: int) -> int:
    """By definition, with NaN below everything."""
    mine = -np.inf if np.isnan(scores[own]) else scores[own]
    before = 0
    for number, score in enumerate(scores):
        other = -np.inf if np.isnan(score) else score
        before += other > mine or (other == mine and number < own)
    return int(before)


def test_against_the_definition() -> None:
    random = np.random.default_rng(5)
    scores = random.integers(-3, 4, (200, 7)).astype(np.float32)  # with many ties
    scores[random.random(scores.shape) < 0.05] = np.nan
    classes = random.integers(0, 7, 200)
    expected = [plain_rank(row, own) for row, own in zip(scores.tolist(), classes.tolist(), strict=True)]
    assert class_ranks(scores, classes).tolist() == expected


def test_a_network_that_answers_nothing_is_not_right() -> None:
    """Equal scores for all classes are a right answer for the first class only."""
    ranks = class_ranks(np.full((5, 5), np.nan, np.float32), np.arange(5))
    assert ranks.tolist() == [0, 1, 2, 3, 4]
