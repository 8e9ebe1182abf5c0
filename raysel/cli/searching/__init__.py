"""Commands that ask an index about neurons."""
