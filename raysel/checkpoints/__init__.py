"""Checkpoints of a training run: an index for each of them, and how selectivity changes from one to the next.

`watching` finds new checkpoints and indexes them, one after another; `evolution` compares their indexes.
"""
