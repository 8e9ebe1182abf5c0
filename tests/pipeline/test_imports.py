"""What a task imports, which is most of a small run's time: torch takes seconds in every worker process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("raysel.pipeline.plan", {"torch", "ray.data"}),
        ("raysel.pipeline.scan.cutoffs", {"torch", "ray.data"}),
        ("raysel.pipeline.scan.slice_reader", {"torch"}),
        ("raysel.pipeline.scan.call_result", {"torch"}),
        ("raysel.pipeline.derive.stage", {"torch", "ray.data"}),
        ("raysel.pipeline.derive.again", {"torch", "ray.data"}),
    ],
)
def test_the_modules_of_tasks_import_little(module: str, without: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not without & set(ran.stdout.split())
