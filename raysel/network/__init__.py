"""A network as raysel sees it: loaded, traced, tapped, with the receptive field of every tap."""

from raysel.network.effective import effective_receptive_fields
from raysel.network.from_anywhere import from_anywhere
from raysel.network.loading import load
from raysel.network.memory import keep_freed_memory
from raysel.network.network import Network, Tap
from raysel.network.peak import peaks

__all__ = ["Network", "Tap", "effective_receptive_fields", "from_anywhere", "keep_freed_memory", "load", "peaks"]
