"""Hypothesis without a time limit per example: machines are shared."""

from hypothesis import settings

settings.register_profile("raysel", deadline=None)
settings.load_profile("raysel")
