"""Freed memory that stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CHILD = """
import resource, sys
import torch
from raysel.network import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    torch.zeros(2**23)
before = faults()
for _ in range(20):
    torch.zeros(2**23)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives blocks back so eagerly")
def test_blocks_are_not_fetched_again() -> None:
    """Page faults of twenty blocks of 32 MB, one after the other, in a process of its own."""
    counts = {
        how: int(subprocess.run([sys.executable, "-c", CHILD, how], capture_output=True, check=True, text=True).stdout)
        for how in ("plain", "keep")
    }
    assert counts["keep"] < counts["plain"] / 2
