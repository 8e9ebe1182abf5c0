"""Pictures made from an index: features of every layer, one neuron with its crops, an image with what
neurons see in it, and the report with all figures.

They read an index through `raysel.store`. The first three are drawn with Pillow and its built-in font. The report
(`raysel.report.page`) needs the packages of ``raysel[report]`` and is imported by its users only.
"""

from raysel.report.explained_image import draw_explanation
from raysel.report.features import draw_features
from raysel.report.portrait import draw_portrait

__all__ = ["draw_explanation", "draw_features", "draw_portrait"]
