"""Which files count as images, by name."""

from __future__ import annotations

from raysel.files import suffix

IMAGE_SUFFIXES = ("jpg", "jpeg", "jpe", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm")
"""Suffixes of image files, in lower case and without the dot; case does not matter."""


def is_image(name: str) -> bool:
    """True if the suffix is one of an image; the content is not checked."""
    return suffix(name) in IMAGE_SUFFIXES


def is_hidden(name: str) -> bool:
    """True for dot files, for files in dot folders, and for the ``__MACOSX`` copies that Finder puts into archives."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
