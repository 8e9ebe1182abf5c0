"""A network as raysel sees it: loaded, traced, tapped, with the receptive field of every tap."""

from raysel.network.from_anywhere import with_absolute_paths
from raysel.network.loading import load
from raysel.network.memory import keep_freed_memory
from raysel.network.network import Network, Tap
from raysel.network.peak import peaks
from raysel.network.receptive_field.effective import effective_receptive_fields

__all__ = ["Network", "Tap", "effective_receptive_fields", "keep_freed_memory", "load", "peaks", "with_absolute_paths"]
