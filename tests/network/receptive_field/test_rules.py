"""Rules of single operations: exact fields equal the extent of the gradient, unknown ones are the whole image."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from raysel.network.graph.exporting import trace_by_export
from raysel.network.graph.tracing import Traced, trace
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.neurons import ReceptiveField
from tests.network.receptive_field.gradient import Probe, assert_seen, positive, shown

SIZE = (24, 24)


class Then(nn.Module):
    """A 3 x 3 convolution of stride 2, an operation, and a named module for its output."""

    def __init__(self, operation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.operation = operation if isinstance(operation, nn.Module) else Function(operation)
        self.out = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.operation(self.conv(x)))


class Function(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def space_to_depth(x: torch.Tensor, block: int) -> torch.Tensor:
    batch, channels, rows, columns = x.size()
    x = x.view(batch, channels, rows // block, block, columns // block, block).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, channels * block**2, rows // block, columns // block)


def depth_to_space(x: torch.Tensor, block: int) -> torch.Tensor:
    batch, channels, rows, columns = x.size()
    x = x.view(batch, channels // block**2, block, block, rows, columns).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, channels // block**2, rows * block, columns * block)


def transposed_windows(x: torch.Tensor) -> torch.Tensor:
    """Windows of 2 x 2 as images of their own, as attention in windows takes them, transposed and put back."""
    x = x.permute(0, 2, 3, 1).view(-1, 6, 2, 6, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 2, 2, 8).transpose(1, 2)
    return x.reshape(-1, 6, 6, 2, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 12, 12, 8).permute(0, 3, 1, 2)


def filled(x: torch.Tensor) -> torch.Tensor:
    y = torch.empty_like(x)
    y[:, :4].copy_(x[:, 4:])
    y[:, 4:].copy_(x[:, :4])
    return y


def filled_rows(x: torch.Tensor) -> torch.Tensor:
    y = x.new_zeros(2, 8, 14, 12)
    y[:, :, 1:13].copy_(x)
    return y


class SpaceToDepth(nn.Module):
    """Blocks of 3 x 3."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return space_to_depth(x, 3)


def field_of(
    module: nn.Module, size: tuple[int, int] = SIZE, tracer: Callable[[nn.Module, tuple[int, int]], Traced] = trace
) -> ReceptiveField:
    """The field of the module's output."""
    traced = tracer(module, size)
    (output,) = (node for node in traced.module.graph.nodes if node.op == "output")
    return TensorReceptiveFields(traced, size).receptive_field(output.all_input_nodes[0])


EXACT = {
    "dilated convolution": nn.Conv2d(8, 8, 3, dilation=2),
    "dilated pooling": nn.Sequential(nn.MaxPool2d(2, 1, dilation=2)),
    "same padding as a word": nn.Conv2d(8, 8, 5, padding="same"),
    "valid padding as a word": nn.Conv2d(8, 8, 5, padding="valid"),
    "reflected padding": nn.Conv2d(8, 8, 5, padding=2, padding_mode="reflect"),
    "negative padding": nn.ZeroPad2d(-1),
    "pixel unshuffle": nn.PixelUnshuffle(2),
    "adaptive pooling by a whole factor": nn.AdaptiveAvgPool2d(4),
    "adaptive pooling to the same size": nn.AdaptiveAvgPool2d(12),
    "transposed convolution without stride": nn.ConvTranspose2d(8, 8, 3),
    "slices with an ellipsis": lambda x: x[..., 1:, 1::2][..., ::2, :],
    "channels last and back": lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2) + x,
    "squeezed channels": lambda x: x[:, :1].squeeze(1).unsqueeze(1),
    "taken apart and stacked": lambda x: torch.stack((x.unbind(1)[0], x.unbind(1)[3]), dim=1),
    "a sum over channels": lambda x: x.sum(dim=1, keepdim=True) * x,
    "a comparison": lambda x: torch.where(x > 0.1, x, -x),
    "logic": lambda x: x.masked_fill((x <= -1) & (x == x) | ~(x < 99), 0.0),
    "a part of rows": lambda x: x.narrow(2, 1, 9).narrow(-1, -9, 8),
    "normalized channels": lambda x: functional.normalize(torch.cat((x, x * x), 1), dim=1),
    "normalized by position": lambda x: functional.normalize(torch.cat((x, x * x), 1), 2.0, 1),
    "divided by a norm": lambda x: x / (x + 1).norm(dim=1, keepdim=True).expand(-1, 8, -1, -1),
    "the larger of two": lambda x: torch.max(x[:, :4], x[:, 4:]) + torch.minimum(x[:, :4], x[:, 4:]),
    "not below a constant": lambda x: torch.max(x, torch.zeros(12)),
    "space to depth": lambda x: space_to_depth(x, 2),
    "space to depth and a convolution": nn.Sequential(SpaceToDepth(), nn.Conv2d(72, 8, 3, padding=1)),
    "means over blocks": lambda x: x.view(-1, 8, 6, 2, 6, 2).mean((3, 5)),
    "the maximum over channels": lambda x: x * x.max(1, keepdim=True).values,
    "instance norm with stored statistics": nn.InstanceNorm2d(8, track_running_stats=True),
    "zeros beside a map": lambda x: torch.cat((x, torch.zeros_like(x), x.new_ones(x.shape)), 1),
    "a map that is filled by halves": filled,
    "weights alone": lambda x: x + torch.ones(12),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str) -> None:
    module = Then(EXACT[name])
    field = field_of(module)
    assert field.exact
    assert_seen(Probe(positive(module) if name != "dilated pooling" else _as_mean(), SIZE), "out", field)


class Defaults(nn.Module):
    """A function that is called with its default stride."""

    def __init__(self, function: Callable[..., torch.Tensor], weighted: bool) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.rand(8, 8, 3, 3)) if weighted else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, 3 if self.weight is None else self.weight)


@pytest.mark.parametrize("tracer", [trace, trace_by_export])
@pytest.mark.parametrize(
    ("function", "stride"),
    [(functional.conv2d, 1), (functional.conv_transpose2d, 1), (functional.avg_pool2d, 3)],
)
def test_default_strides(function: Callable[..., torch.Tensor], stride: int, tracer: Callable[..., Traced]) -> None:
    """That of a convolution is 1, that of a pooling its kernel size."""
    module = Then(Defaults(function, weighted=function is not functional.avg_pool2d))
    field = field_of(module, tracer=tracer)
    assert field.rows.stride == field.columns.stride == 2 * stride
    assert field.exact
    assert_seen(Probe(positive(module), SIZE), "out", field)


def _as_mean() -> nn.Module:
    """torch's mean pooling has no dilation; a convolution has."""
    return positive(Then(nn.Conv2d(8, 1, 2, dilation=2)))


WHOLE = {
    "a mean over space": lambda x: x * x.mean((2, 3), keepdim=True),
    "global pooling": lambda x: x + functional.adaptive_avg_pool2d(x, 1),
    "group norm": nn.GroupNorm(2, 8),
    "instance norm": nn.InstanceNorm2d(8),
    "group norm with rows in the place of channels": lambda x: functional.group_norm(x.permute(0, 2, 3, 1), 1),
    "the spread of all values": lambda x: x / x.std(False),
    "softmax over space": lambda x: torch.softmax(x.flatten(2), dim=-1),
    "a fully connected layer": nn.Sequential(nn.Flatten(), nn.Linear(8 * 12 * 12, 3)),
    "layer norm over all": nn.LayerNorm((8, 12, 12)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_image(name: str) -> None:
    field = field_of(Then(WHOLE[name]))
    assert field.whole
    assert field.exact or name == "softmax over space"  # its output is not a map


BOUNDED = {
    "rolled": lambda x: torch.roll(x, 1, 3),
    "flipped": lambda x: x.flip(3),
    "summed up along rows": lambda x: torch.cumsum(x, 2),
    "circular padding": nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"),
    "joined along space": lambda x: torch.cat((x, x), dim=3),
    "rows and columns mixed": lambda x: x.reshape(2, 8, 6, 24),
    "matrix products": lambda x: x @ x,
    "upside down": lambda x: x.transpose(2, 3) + x,
    "one row of each block": lambda x: x.view(-1, 8, 6, 2, 12)[:, :, :, 0],
    "transposed windows": transposed_windows,
    "rows that are filled": filled_rows,
    "a padded sequence": lambda x: functional.pad((x @ x).flatten(2), (0, 12))[..., 12:].reshape(2, 8, 12, 12) + x,
    "every other row, split": lambda x: x.view(-1, 8, 6, 2, 12).select(3, 1),
}


@pytest.mark.parametrize("part", [(slice(None), slice(0, 2)), (slice(None), slice(None), slice(0, 2))])
def test_a_map_with_constants_written_into_it_sees_no_more_than_before(part: tuple[slice, ...]) -> None:
    """It sees less where whole rows are constant."""

    def with_constants(x: torch.Tensor) -> torch.Tensor:
        x[part].zero_()
        x[part].fill_(1.0)
        return x

    field = field_of(Then(with_constants))
    assert (field.height, field.width) == (3, 3)
    assert field.bound == "constants are written into the map"


@pytest.mark.parametrize("name", BOUNDED)
def test_unknown_is_bounded_by_the_whole_image(name: str) -> None:
    field = field_of(Then(BOUNDED[name]))
    assert field.whole
    assert not field.exact


RESAMPLED = {
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear with corners": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    "bicubic": nn.Upsample(scale_factor=1.5, mode="bicubic"),
    "downwards": lambda x: functional.interpolate(x, size=(5, 5), mode="bilinear"),
    "pixel shuffle": nn.PixelShuffle(2),
    "depth to space": lambda x: depth_to_space(x, 2),
    "uneven adaptive pooling": nn.AdaptiveAvgPool2d(5),
    "transposed convolution": nn.ConvTranspose2d(8, 8, 3, 2, 1),
}
RESAMPLED_BY = {
    "pixel shuffle": "pixel_shuffle",
    "depth to space": "reshape",
    "uneven adaptive pooling": "adaptive_avg_pool2d",
    "transposed convolution": "conv_transpose2d",
}


@pytest.mark.parametrize("name", RESAMPLED)
def test_resampling_is_bounded(name: str) -> None:
    """Positions see different parts of their windows, but each box holds what its position sees."""
    module = Then(RESAMPLED[name])
    field = field_of(module)
    assert field.bound == f"{RESAMPLED_BY.get(name, 'interpolate')} of unequal windows"
    probe = Probe(positive(module), SIZE)
    assert_seen(probe, "out", field)
    rows, columns = probe.map_size("out")
    extents = [probe.seen("out", row, columns // 2) for row in range(rows)]
    assert field.size <= max(seen[0][1] - seen[0][0] + 1 for seen in extents if seen) + 8


BY_AXIS = {
    "a kernel higher than wide": (nn.Conv2d(8, 8, (7, 3), padding=(3, 1)), (15, 7), (2, 2)),
    "other padding per axis": (nn.Conv2d(8, 8, 3, padding=(2, 0)), (7, 7), (2, 2)),
    "other strides": (nn.Conv2d(8, 8, 3, stride=(2, 1)), (7, 7), (4, 2)),
}


@pytest.mark.parametrize("name", BY_AXIS)
def test_rows_and_columns_each_have_their_field(name: str) -> None:
    operation, size, strides = BY_AXIS[name]
    module = Then(operation)
    field = field_of(module)
    assert (field.height, field.width) == size
    assert (field.rows.stride, field.columns.stride) == strides
    assert field.exact
    assert_seen(Probe(positive(module), SIZE), "out", field)


ONE_AXIS_WHOLE = {
    "a mean over rows": lambda x: x * x.mean(2, keepdim=True),
    "softmax over rows": lambda x: torch.softmax(x, dim=2),
    "layer norm over columns": nn.LayerNorm(12),
}


@pytest.mark.parametrize("name", ONE_AXIS_WHOLE)
def test_operations_over_one_axis_see_all_of_it_and_no_more_of_the_other(name: str) -> None:
    module = Then(ONE_AXIS_WHOLE[name])
    field = field_of(module)
    whole, other = (field.columns, field.rows) if "columns" in name else (field.rows, field.columns)
    assert (whole.size, whole.stride) == (24, 0)
    assert (other.size, other.stride, other.offset) == (3, 2, -1)
    assert field.exact
    if "mean" in name:
        assert_seen(Probe(positive(module), SIZE), "out", field)


BORDERS = {
    "a pooling that exceeds the map": nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(8, 8, 3, padding=1)),
    "a row that no window reaches": nn.Sequential(nn.Conv2d(8, 8, 4, 3), nn.Conv2d(8, 8, 3, padding=1)),
    "rows that were cut off": nn.Sequential(nn.ZeroPad2d(-2), nn.Conv2d(8, 8, 5, padding=2)),
    "dilation": nn.Conv2d(8, 8, 3, padding=3, dilation=3),
}


@pytest.mark.parametrize("name", BORDERS)
def test_pixels_that_no_position_sees_are_in_no_box(name: str) -> None:
    module = Then(BORDERS[name])
    field = field_of(module, (25, 28))
    assert field.exact
    assert_seen(Probe(positive(module), (25, 28)), "out", field)


REFLECTED = {
    "reflection": nn.Sequential(nn.ReflectionPad2d((5, 0, 4, 6)), nn.Conv2d(8, 8, 3)),
    "replication": nn.Sequential(nn.ReplicationPad2d(4), nn.Conv2d(8, 8, 3)),
    "a convolution that reflects": nn.Conv2d(8, 8, 3, padding=5, padding_mode="reflect"),
    "a convolution that replicates": nn.Conv2d(8, 8, (3, 5), 2, padding=(4, 1), padding_mode="replicate"),
    "padding as a word": nn.Conv2d(8, 8, 4, padding="same", padding_mode="reflect"),
    "as a function": lambda x: functional.avg_pool2d(functional.pad(x, (6, 6, 6, 6), "reflect"), 3, 1),
}


@pytest.mark.parametrize("name", REFLECTED)
def test_reflected_and_repeated_pixels_are_shown_where_they_are(name: str) -> None:
    module = Then(REFLECTED[name])
    field = field_of(module)
    assert field.exact
    probe = Probe(positive(module), SIZE)
    rows, columns = probe.map_size("out")
    for place in range(max(rows, columns)):
        row, column = min(place, rows - 1), min(place, columns - 1)
        assert shown(field, row, column, columns) == probe.seen("out", row, column), (row, column)


SCALED = {
    "bilinear": nn.Upsample(scale_factor=2.6, mode="bilinear"),
    "nearest": nn.Upsample(scale_factor=1.7),
    "down": lambda x: functional.interpolate(x, scale_factor=(0.7, 0.45), mode="bilinear"),
    "recomputed": lambda x: functional.interpolate(x, scale_factor=2.6, mode="bilinear", recompute_scale_factor=True),
    "antialiased": lambda x: functional.interpolate(x, scale_factor=0.4, mode="bilinear", antialias=True),
}


@pytest.mark.parametrize("name", SCALED)
def test_a_scale_factor_is_used_as_torch_uses_it(name: str) -> None:
    """Without `recompute_scale_factor` the step is its inverse and not the ratio of the sizes."""
    module = Then(SCALED[name])
    field = field_of(module)
    probe = Probe(positive(module), SIZE)
    rows, columns = probe.map_size("out")
    for place in range(max(rows, columns)):
        row, column = min(place, rows - 1), min(place, columns - 1)
        assert shown(field, row, column, columns) == probe.seen("out", row, column), (row, column)


def test_a_mean_over_space_sees_what_the_map_sees() -> None:
    """The windows of 4 px end at pixel 21; pixels 22 and 23 are never seen."""
    module = nn.Sequential(nn.Conv2d(3, 4, 4, 3), nn.AdaptiveAvgPool2d(1))
    field = field_of(module)
    assert (field.height, field.rows.stride, field.rows.offset) == (22, 0, 0)
    assert field.fixed
    assert not field.whole
    assert field.exact


FRACTIONS = {
    "transposed convolution": (nn.ConvTranspose2d(8, 8, 5, 3, 1), Fraction(2, 3)),
    "transposed convolution with output padding": (nn.ConvTranspose2d(8, 8, 3, 3, 0, 2), Fraction(2, 3)),
    "pixel shuffle": (nn.Sequential(nn.Conv2d(8, 9, 1), nn.PixelShuffle(3)), Fraction(2, 3)),
}


@pytest.mark.parametrize("name", FRACTIONS)
def test_positions_of_fractional_strides_are_exact(name: str) -> None:
    operation, stride = FRACTIONS[name]
    module = Then(operation)
    field = field_of(module)
    assert field.rows.stride == field.columns.stride == stride
    probe = Probe(positive(module), SIZE)
    _, columns = probe.map_size("out")
    for column in range(columns):
        seen = probe.seen("out", 18, column)
        assert seen is None or shown(field, 18, column, columns) == seen
    origins = field.origins(np.arange(columns), columns)[:, 1]
    assert origins.tolist() == [math.floor(field.columns.offset + stride * column) for column in range(columns)]


def test_a_map_of_one_position_keeps_its_field() -> None:
    """The only window of 20 x 20 covers 24 of the 40 columns, and the fully connected layer sees the same."""
    field = field_of(nn.Sequential(nn.Conv2d(3, 4, 5), nn.AvgPool2d(20), nn.Flatten(), nn.Linear(4, 2)), (24, 40))
    assert (field.height, field.width, field.rows.offset, field.columns.offset) == (24, 24, 0, 0)
    assert field.exact
