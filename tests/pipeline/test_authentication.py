"""Which Ray a run connects to, and how it authenticates there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from raysel.config import ClusterConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster import connected
from tests.conftest import ROOT

NOBODY, NOBODY_ELSE = "127.0.0.1:1", "127.0.0.1:2"

OWN_RAY = """
import os, subprocess, sys
from raysel.config import ClusterConfig
from raysel.pipeline.cluster import connected
from ray._raylet import get_authentication_mode
import ray

def settings():
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")}, get_authentication_mode()

before = settings()
join = "import sys, ray; ray.init(sys.argv[1], logging_level='ERROR', log_to_driver=False)"
with connected(ClusterConfig(num_cpus=1)):
    print(ray.get(ray.remote(lambda: "works").remote()))
    address = ray.get_runtime_context().gcs_address
    child = subprocess.run([sys.executable, "-c", join, address], capture_output=True)
    stranger = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    stranger["RAY_NUM_REDIS_GET_RETRIES"] = "1"  # Ray 2.60 asks 20 times, once per second
    other = subprocess.run([sys.executable, "-c", join, address], capture_output=True, text=True, env=stranger)
print("child", child.returncode == 0)
print("stranger", other.returncode == 0, "authenticat" in other.stderr.lower())
print("as before", before == settings(), *before[0])
"""


@pytest.mark.parametrize(
    ("given", "environment", "asked"),
    [(NOBODY, NOBODY_ELSE, NOBODY), (NOBODY, None, NOBODY), (None, NOBODY_ELSE, NOBODY_ELSE)],
)
def test_the_option_takes_precedence_over_the_environment(monkeypatch, given, environment, asked):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # another test may have left this process connected
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    with (
        pytest.raises(RayselError, match=f"no Ray cluster answers at {asked}"),
        connected(ClusterConfig(address=given)),
    ):
        pass


@pytest.mark.ray
@pytest.mark.parametrize("token", [None, "ab" * 32])
def test_only_a_local_ray_has_a_token_of_its_own(tmp_path: Path, token: str | None):
    """The token of the person who has one is left alone, for a cluster that is named by its address."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **({"RAY_AUTH_TOKEN": token} if token else {})}
    ran = subprocess.run([sys.executable, "-c", OWN_RAY], env=own, capture_output=True, text=True, timeout=280)
    assert ran.stdout.splitlines() == [
        "works",
        "child True",
        "stranger False True",
        "as before True" + (" RAY_AUTH_TOKEN" if token else ""),
    ], ran.stderr
    assert not (tmp_path / ".ray").exists()
