"""Words: what they may mean in an index, and how well each neuron matches them.

`vocabulary` collects the words that an index understands: colors, classes, concepts and layers. `match` is the measure.
`concepts_above` has the concepts of each class by which classes differ.
"""
