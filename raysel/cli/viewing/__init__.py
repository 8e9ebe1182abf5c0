"""Commands that draw and show indexes."""
