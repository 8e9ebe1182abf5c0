"""Activations of maps, against NumPy's argmax over the flattened map; and memory that stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from raysel.network import peaks
from raysel.network.forward import pooled_peaks, row_peaks

small_maps = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=4, max_dims=4, max_side=6),
    elements=st.sampled_from([0, -0.0, 1, 2, -3, 6, -np.inf, np.inf]),
)


@pytest.mark.parametrize("function", [peaks, pooled_peaks, row_peaks])
@given(array=small_maps, memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]))
def test_the_first_maximum_in_raster_order(
    function: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    array: np.ndarray,
    memory_format: torch.memory_format,
) -> None:
    flat = array.reshape(*array.shape[:2], -1)
    activation, position = function(torch.from_numpy(array).contiguous(memory_format=memory_format))
    assert np.array_equal(activation.numpy(), flat.max(axis=2))
    assert np.array_equal(position.numpy(), flat.argmax(axis=2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_activations_are_float32(dtype: torch.dtype) -> None:
    activation, position = peaks(torch.ones(1, 2, 3, 3, dtype=dtype))
    assert activation.dtype == torch.float32
    assert position.tolist() == [[0, 0]]


@pytest.mark.parametrize("function", [pooled_peaks, row_peaks])
def test_nan_is_not_hidden(function: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]) -> None:
    assert function(torch.tensor([[[[1.0, float("nan")], [3.0, 2.0]]]]))[0].isnan().all()


COUNT_PAGE_FAULTS = """
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns freed blocks to the system")
def test_freed_blocks_are_used_again() -> None:
    """Page faults of twenty successive blocks of 32 MB, in a process of its own."""

    def faults(mode: str) -> int:
        command = [sys.executable, "-c", COUNT_PAGE_FAULTS, mode]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    assert faults("keep") < faults("default") / 2
