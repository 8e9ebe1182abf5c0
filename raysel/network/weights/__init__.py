"""Weights are data: state dicts in checkpoints as people have them, fitted to a module, and their digest.

A checkpoint is read without running code (`reading`, `pickles`); it may hold several state dicts, of which one is
chosen (`state_dict`); wrappers leave prefixes in the names of its tensors, which are removed (`fitting`).
"""

from raysel.network.weights.fitting import fit
from raysel.network.weights.reading import read_checkpoint
from raysel.network.weights.state_dict import Chosen, StateDict, choose
from raysel.network.weights.weights_digest import digest, state_digest

__all__ = ["Chosen", "StateDict", "choose", "digest", "fit", "read_checkpoint", "state_digest"]
