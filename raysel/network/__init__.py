"""A network as raysel sees it: imported, traced into a graph, and read at taps whose receptive fields are known.

`load` builds a `Network` from its configuration: `importers` find the module with its weights, `graph` traces it,
`taps` chooses where it is read, and `receptive_field` computes what each tap sees. `Network.run` then shows the map of
each tap for a batch of images, and `peaks` gives the activations of its neurons. `Classifier` is the whole network with
its output layer.
"""

from raysel.network.classifier import Classifier
from raysel.network.forward import computing_in, keep_freed_memory, peaks
from raysel.network.loading import load, with_absolute_paths
from raysel.network.network import Network
from raysel.network.receptive_field.effective_receptive_field import effective_receptive_fields

__all__ = [
    "Classifier",
    "Network",
    "computing_in",
    "effective_receptive_fields",
    "keep_freed_memory",
    "load",
    "peaks",
    "with_absolute_paths",
]
