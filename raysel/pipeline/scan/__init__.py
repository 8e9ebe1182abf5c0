"""The scan: one pass over all images that finds every neuron's ranking.

`stream` reads, decodes and runs the network on a pool of actors, each of whose calls returns one row of candidates.
`driver` folds these rows into the running state, publishes its cutoffs to the actors, and saves it for a restart.
"""
