"""``raysel similar``: which neurons are like one neuron."""

from __future__ import annotations

from raysel.cli.arguments import AsCsv, AsJson, Columns, IndexPlace, LayerGlob, Limit, NeuronAddress, ParquetFile
from raysel.query import By


def similar(
    index: IndexPlace,
    neuron: NeuronAddress,
    /,
    *,
    by: By = "images",
    layer: LayerGlob = None,
    limit: Limit = 20,
    columns: Columns = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    parquet: ParquetFile = None,
) -> None:
    """List the neurons most similar to one neuron.

    Args:
        by: What to compare. `images`: their best images, weighted by relative activation. `classes`: their class
            shares. `feature`: their neuron features, reduced to 8 x 8.
    """
    from raysel.cli.neurons import Form, print_neurons
    from raysel.query import open_searchable

    form = Form.of(as_json, as_csv, parquet)
    found = open_searchable(index).similar(neuron, by, limit=limit, within=layer)
    print_neurons(found, form, columns, limit=limit, none=f"no neuron has anything in common with {neuron}")
