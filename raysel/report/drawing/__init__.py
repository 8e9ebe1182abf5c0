"""How the figures of a report are drawn: one look for all, boards of pictures, and tag clouds.

Figures are matplotlib's own `Figure` objects, without pyplot, so that nothing needs a screen or changes global state.
"""
