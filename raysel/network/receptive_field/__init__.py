"""What each tensor of a graph sees of the input: exact intervals per axis, carried from operation to operation.

`propagation` walks the graph, `rules` has a function per operation, `effective` measures by gradients what is really
used.
"""
