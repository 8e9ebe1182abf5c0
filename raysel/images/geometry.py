"""From an image's size to the network's input and back: where each pixel comes from."""

from __future__ import annotations

from dataclasses import dataclass

from raysel.config import Preprocessing


@dataclass(frozen=True)
class Placement:
    """Where the network's input lies in the original image, as an affine map per axis.

    Coordinates are those of pixel edges: pixel i of the network's input spans i to i + 1, and its center i + 0.5 maps
    to ``scale * (i + 0.5) + offset`` in pixels of the original. The original is upright (EXIF orientation applied).
    Padded pixels of the input map to places outside the original.
    """

    scale: tuple[float, float]
    """(vertical, horizontal): pixels of the original per pixel of the input."""
    offset: tuple[float, float]
    """(vertical, horizontal): the input's upper left corner in the original, in pixels of the original."""

    def to_original(self, row: float, column: float) -> tuple[float, float]:
        """(row, column) in the original of an edge coordinate in the network's input; may lie outside."""
        return (self.scale[0] * row + self.offset[0], self.scale[1] * column + self.offset[1])

    def box(self, top: float, left: float, bottom: float, right: float) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) in the original of a box in the network's input; may reach outside."""
        return (*self.to_original(top, left), *self.to_original(bottom, right))


def resized_size(size: tuple[int, int], resize: int | tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) after the resize.

    An int is the new shorter side; the longer becomes ``int(resize * long / short)``, as in
    ``torchvision.transforms.Resize``.
    """
    if resize is None:
        return size
    if isinstance(resize, tuple):
        return resize
    height, width = size
    if height <= width:
        return resize, int(resize * width / height)
    return int(resize * height / width), resize


def crop_start(size: int, crop: int) -> int:
    """First pixel of a centered crop along one axis; negative if the image is smaller and is padded.

    As in ``torchvision.transforms.CenterCrop``: halves round to even; the extra pixel of an odd padding is at the end.
    """
    if crop > size:
        return -((crop - size) // 2)
    return round((size - crop) / 2)


def placement(original_size: tuple[int, int], preprocessing: Preprocessing) -> Placement:
    """The map for an upright original of (height, width)."""
    resized = resized_size(original_size, preprocessing.resize)
    crop = preprocessing.crop or resized
    scale = (original_size[0] / resized[0], original_size[1] / resized[1])
    offset = (crop_start(resized[0], crop[0]) * scale[0], crop_start(resized[1], crop[1]) * scale[1])
    return Placement(scale, offset)
