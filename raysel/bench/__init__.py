"""Benchmarks: how fast raysel is on this machine, beside what else could be done with the same images and network.

They use the other rooms as a user does, and nothing uses them but the command line. `contest` lets `contenders` scan
the same images in turns, each in processes of its own, and `scores` makes figures of when their results came. The
other modules measure one part each: decoding, deriving, starting, merging.
"""
