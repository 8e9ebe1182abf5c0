"""The paper's figures, from an index."""

from raysel.report.features import draw_features

__all__ = ["draw_features"]
