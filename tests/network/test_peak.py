"""The maximum over space and its position, against NumPy's argmax over the flattened map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from raysel.network.peak import peaks

maps = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=4, max_dims=4, max_side=6), elements=st.sampled_from([0, 1, 2, -3, 6])
)


@given(maps, st.sampled_from([torch.contiguous_format, torch.channels_last]))
def test_the_first_maximum_in_raster_order(array, memory_format):
    flat = array.reshape(*array.shape[:2], -1)
    activation, position = peaks(torch.from_numpy(array).contiguous(memory_format=memory_format))
    assert np.array_equal(activation.numpy(), flat.max(axis=2))
    assert np.array_equal(position.numpy(), flat.argmax(axis=2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_activations_are_float32(dtype):
    activation, position = peaks(torch.ones(1, 2, 3, 3, dtype=dtype))
    assert activation.dtype == torch.float32
    assert position.tolist() == [[0, 0]]


def test_not_a_number_is_not_hidden():
    array = torch.tensor([[[[1.0, float("nan")], [3.0, 2.0]]]])
    assert peaks(array)[0].isnan().all()
