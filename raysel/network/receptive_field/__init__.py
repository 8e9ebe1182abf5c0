"""Receptive fields: which pixels of the input each tensor of a graph sees.

`propagation` walks the graph and applies each operation's rule (`rules`, from the three ``..._rules``) with exact
interval arithmetic per axis. `effective_receptive_field` measures by gradients which of these pixels matter.
"""
