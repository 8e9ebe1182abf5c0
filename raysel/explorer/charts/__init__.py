"""Geometry of the charts that the pages hold as SVG: pure functions from numbers to paths and points.

No style is in them: colors, strokes and fonts belong to the style sheet, so that one chart serves light and dark.
"""
