"""``raysel similar``: which neurons are like one neuron."""

from __future__ import annotations

from raysel.cli.arguments import FOR_PEOPLE, Form, IndexPlace, LayerGlob, Limit, NeuronAddress
from raysel.query import By


def similar(
    index: IndexPlace,
    neuron: NeuronAddress,
    /,
    *,
    by: By = "images",
    layer: LayerGlob = None,
    limit: Limit = 20,
    form: Form = FOR_PEOPLE,
) -> None:
    """List the neurons most similar to one neuron.

    Args:
        by: What to compare. `images`: their best images, weighted by relative activation. `classes`: their class
            shares. `feature`: their neuron features, reduced to 8 x 8.
    """
    from raysel.cli.neurons import print_neurons
    from raysel.query import open_searchable

    found = open_searchable(index).similar(neuron, by, limit=limit, within=layer)
    print_neurons(found, form, limit=limit, none=f"no neuron has anything in common with {neuron}")
