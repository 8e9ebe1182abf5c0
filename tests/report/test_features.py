"""The neuron features of every layer on one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import raysel
from raysel.report import draw_features, features
from tests.store.synthetic import Layer, build


def test_each_layer_has_a_row_with_its_clearest_features(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(features, "MIN_IMAGES", 8)
    made = build(tmp_path, (Layer("stem", 12, 8, 2), Layer("next", 12, 24, 4)))
    picture = np.asarray(draw_features(raysel.open(tmp_path), per_layer=3), float)
    assert picture.shape == (6 + 2 * 100, 6 + 3 * 78, 3)
    for line, layer in enumerate(("stem", "next")):
        contrast = {}
        for row in made.rows:
            address = (row["layer"], row["channel"])
            if row["layer"] == layer and row["n"] >= 8:
                common = made.counts[address] >= row["n"] / 2
                stored = np.rint(255 * made.features[address]) / 255  # some contrasts differ by less than this changes
                contrast[address] = stored[common].std(axis=0).mean() * common.mean()
        ordered = sorted(contrast, key=lambda address: -contrast[address])
        assert len(ordered) > 2
        for column, address in enumerate(ordered[:3]):
            size = made.features[address].shape[0]
            tile = np.kron(made.features[address] * 255, np.ones((72 // size, 72 // size, 1)))
            shown = np.kron(made.counts[address] > 0, np.ones((72 // size, 72 // size))) > 0
            top, left = 6 + line * 100 + 22, 6 + column * 78
            np.testing.assert_allclose(picture[top : top + 72, left : left + 72][shown], tile[shown], atol=0.6)
