"""Where a network is read, as plain data: the neurons of a layer and what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from raysel.neurons.receptive_field import ReceptiveField


@dataclass(frozen=True)
class Tap:
    """A place where the network is read; each channel there is a neuron."""

    layer: str
    """Name of the convolution's module, or of the module that was named instead; its second call is ``name#2``."""
    channels: int
    map_size: tuple[int, int]
    """(rows, columns) of the map; (1, 1) for a fully connected layer."""
    receptive_field: ReceptiveField
    reading: str
    """The operation that is read, for people: ``relu``, ``batch norm + silu``, ``convolution``."""
    depth: int
    """Number of convolutions before it in the graph, chosen or not."""
    local: ReceptiveField | None = None
    """What a position sees without channel gates and norms over the whole map; None if none is before it."""

    def crop_field(self, kind: str) -> ReceptiveField:
        """The field that crops show, by `DeriveConfig.receptive_field`, which must not be ``effective``."""
        if self.local is None or kind == "theoretical":
            return self.receptive_field
        gated = self.receptive_field.fixed and not self.local.fixed
        return self.local if kind == "local" or gated else self.receptive_field


def first_neurons(taps: Sequence[Tap]) -> list[int]:
    """Number of each tap's first neuron, then the number of all neurons. Neurons are numbered tap by tap."""
    return list(accumulate((tap.channels for tap in taps), initial=0))
