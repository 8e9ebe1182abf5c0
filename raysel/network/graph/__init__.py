"""A network as a graph of operations: traced, described, simplified for the forward, and identified by a digest.

`tracing` follows the network's code with torch.fx and `exporting` with torch.export; both return a `Traced`.
`operations` describes a node in one vocabulary for all kinds of calls.
"""
