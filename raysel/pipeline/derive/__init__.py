"""From rankings to crops, neuron features and indexes.

The stage cuts all neurons into chunks, each of which is a Ray task and one file. What a run that was killed has derived
is not derived again; a layer's tables are written as soon as its last chunk is there.
"""
