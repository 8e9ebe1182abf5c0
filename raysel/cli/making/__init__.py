"""Commands that make and check indexes."""
