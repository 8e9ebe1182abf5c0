"""Figures of made-up times, and how far made-up rankings agree."""

from __future__ import annotations

import numpy as np
import pytest

from raysel.bench.scores import Score, Top, exact_share, medians, score, table


def test_rates_with_and_without_the_start() -> None:
    """Launched at 100; two actors end their first calls at 110 and 112; then 300 images in 6 s."""
    results = [(110.0, 50), (112.0, 50), (114.0, 100), (118.0, 200)]
    cpu = [(100.0, 0.0), (110.0, 4.0), (114.0, 12.0), (118.0, 14.0), (119.0, 15.0)]
    found = score(100.0, results, 2, cpu)
    assert found.images_per_second == pytest.approx(400 / 18)
    assert found.steady_images_per_second == pytest.approx(300 / 6)
    assert found.start_seconds == pytest.approx(12)
    assert found.cpu_seconds == 15
    assert found.steady_cpu_ms_per_image == pytest.approx(1e3 * (14 - 8) / 300)  # 8: between two samples


def test_without_cpu_times() -> None:
    found = score(0.0, [(1.0, 10), (2.0, 10)], 1)
    assert (found.cpu_seconds, found.steady_cpu_ms_per_image) == (None, None)
    assert found.as_json()["cpu_seconds"] is None


@pytest.mark.parametrize("results", [[], [(1.0, 5)]])
def test_too_few_results(results: list[tuple[float, int]]) -> None:
    with pytest.raises(ValueError, match=f"{len(results)} results are too few"):
        score(0.0, results, 1)


def test_medians_over_rounds() -> None:
    rounds = [Score(1.0, 10.0, 3.0, 5.0, None), Score(9.0, 30.0, 2.0, 7.0, 4.0), Score(2.0, 20.0, 1.0, 6.0, 2.0)]
    assert medians(rounds) == Score(2.0, 20.0, 2.0, 6.0, 3.0)
    assert medians([Score(None, 1.0, None, None, None)]) == Score(None, 1.0, None, None, None)


def test_ratio_and_missing_tools() -> None:
    own, bound = Score(1.0, 30.0, 1.0, 1.0, 1.0), Score(None, 40.0, None, 1.0, 0.5)
    rows = table(own, {"bound": bound, "loop": Score(1.0, 10.0, 1.0, 1.0, 1.0), "peer": "not installed"}, {"loop": 0.5})
    assert list(rows) == ["raysel", "bound", "loop", "peer"]
    assert (rows["bound"]["ratio"], rows["bound"]["exact"]) == (0.75, None)
    assert (rows["loop"]["ratio"], rows["loop"]["exact"]) == (3.0, 0.5)
    assert rows["peer"] == {"error": "not installed"}


def top(*neurons: dict[int, float]) -> Top:
    """The images of neurons with their activations, in rankings of three."""
    images, activations = np.full((len(neurons), 3), -1), np.zeros((len(neurons), 3), np.float32)
    for neuron, found in enumerate(neurons):
        images[neuron, : len(found)], activations[neuron, : len(found)] = list(found), list(found.values())
    return Top(images, activations)


def test_the_share_of_neurons_with_the_same_images() -> None:
    expected = top({1: 9.0, 2: 8.0, 3: 7.0}, {4: 5.0}, {})
    assert exact_share(expected, expected) == 1
    assert exact_share(top({2: 8.0, 1: 9.0, 3: 7.0}, {4: 5.0}, {}), expected) == 1  # in any order
    assert exact_share(top({1: 9.0, 5: 8.0, 3: 7.0}, {4: 5.0}, {}), expected) == pytest.approx(2 / 3)
    assert exact_share(top({1: 9.0, 2: 8.0, 3: 7.0}, {}, {6: 1.0}), expected) == pytest.approx(1 / 3)


def test_ties_with_the_last_entry_can_be_broken_in_any_way() -> None:
    expected = top({1: 9.0, 2: 7.0, 3: 7.0})
    assert exact_share(top({1: 9.0, 2: 7.0, 8: 7.00001}), expected) == 1
    assert exact_share(top({1: 9.0, 2: 7.0, 8: 7.01}), expected) == 0
    assert exact_share(top({5: 9.0, 2: 7.0, 3: 7.0}), expected) == 0
