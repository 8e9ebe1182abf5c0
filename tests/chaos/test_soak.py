"""A short soak. For a longer one: ``python -m tests.chaos --minutes 30 --seed S``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.runs import Undisturbed
from tests.chaos.soak import soak

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

FAULTS = 4
SEED = int(os.environ.get("RAYSEL_SOAK_SEED", "1"))


def test_random_faults(undisturbed: Undisturbed, local_ray: None, tmp_path: Path) -> None:
    import ray

    soak(undisturbed, tmp_path, ray.get_runtime_context().gcs_address, SEED, FAULTS)
