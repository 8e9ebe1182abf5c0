"""Pictures made from an index: the neuron features of every layer (the paper's Fig. 3), and one neuron with its crops.

They read an index through `raysel.store`, and are drawn with Pillow and its built-in font.
"""

from raysel.report.features import draw_features
from raysel.report.portrait import draw_portrait

__all__ = ["draw_features", "draw_portrait"]
