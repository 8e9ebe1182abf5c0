"""Rules of single operations: exact fields equal the extent of the gradient, unknown ones are the whole image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysel.network.graph.tracing import trace
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.neurons import ReceptiveField
from tests.network.receptive_field.gradient import Probe, positive

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


def field_of(module: nn.Module, size: tuple[int, int] = SIZE) -> ReceptiveField:
    """The field of the module's output."""
    traced = trace(module, size)
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
    "weights alone": lambda x: x + torch.ones(12),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str) -> None:
    module = Then(EXACT[name])
    field = field_of(module)
    assert field.exact
    probe = Probe(positive(module) if name != "dilated pooling" else _as_mean(), SIZE)
    rows, columns = probe.map_size("out")
    seen = probe.seen("out", rows // 2, columns // 2)
    assert seen is not None
    for (first, last), position in zip(seen, (rows // 2, columns // 2), strict=True):
        start = int(field.offset + field.stride * position)
        assert (first, last) == (max(start, 0), min(start + field.size - 1, SIZE[0] - 1))


def _as_mean() -> nn.Module:
    """torch's mean pooling has no dilation; a convolution has."""
    return positive(Then(nn.Conv2d(8, 1, 2, dilation=2)))


WHOLE = {
    "a mean over space": lambda x: x * x.mean((2, 3), keepdim=True),
    "global pooling": lambda x: x + functional.adaptive_avg_pool2d(x, 1),
    "group norm": nn.GroupNorm(2, 8),
    "instance norm": nn.InstanceNorm2d(8),
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
}


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
    "uneven adaptive pooling": nn.AdaptiveAvgPool2d(5),
    "transposed convolution": nn.ConvTranspose2d(8, 8, 3, 2, 1),
}


@pytest.mark.parametrize("name", RESAMPLED)
def test_resampling_is_bounded(name: str) -> None:
    """Every position sees a part of its square, which is not much larger than needed."""
    module = Then(RESAMPLED[name])
    field = field_of(module)
    assert not field.exact
    probe = Probe(positive(module), SIZE)
    rows, _ = probe.map_size("out")
    extents = []
    for row in range(rows):
        seen = probe.seen("out", row, rows // 2)
        assert seen is not None
        first = int(torch.floor(torch.tensor(field.offset + field.stride * row)))
        assert first <= seen[0][0]
        assert seen[0][1] <= first + field.size - 1
        extents.append(seen[0][1] - seen[0][0] + 1)
    assert field.size <= max(extents) + 8


def test_a_kernel_higher_than_wide_has_the_square_of_its_height() -> None:
    field = field_of(nn.Conv2d(3, 2, (7, 3), padding=(3, 1)))
    assert (field.size, field.offset, field.exact) == (7, -3, True)


def test_different_strides_do_not_fit_a_square_grid() -> None:
    field = field_of(nn.Conv2d(3, 2, 3, stride=(2, 1)))
    assert field.whole
    assert not field.exact


def test_a_map_of_one_position_keeps_its_field() -> None:
    """The only window of 20 x 20 covers 24 of the 40 columns, and the fully connected layer sees the same."""
    field = field_of(nn.Sequential(nn.Conv2d(3, 4, 5), nn.AvgPool2d(20), nn.Flatten(), nn.Linear(4, 2)), (24, 40))
    assert (field.size, field.offset, field.exact) == (24, 0, True)
