"""What counts as an image file, and by which key it is known."""

from __future__ import annotations

import posixpath

IMAGE_SUFFIXES = ("jpg", "jpeg", "jpe", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm")
"""Suffixes of image files, in lower case and without the dot; any case counts."""


def suffix(name: str) -> str:
    """The last extension of a file name in lower case, without its dot; empty where there is none."""
    base = posixpath.basename(name)
    return base.rpartition(".")[2].lower() if "." in base else ""


def is_image(name: str) -> bool:
    """True if the suffix says image. What is inside is the decoder's to find out."""
    return suffix(name) in IMAGE_SUFFIXES


def is_hidden(name: str) -> bool:
    """True for dot files, whatever lies in dot folders, and the ``__MACOSX`` twins that Finder puts into archives."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def split_member(name: str) -> tuple[str, str]:
    """``("train/0001", "seg.png")`` for the tar member ``train/0001.seg.png``.

    WebDataset's rule: the key ends at the first dot of the base name. The extension is in lower case.
    """
    folder, base = posixpath.split(name)
    stem, _, extension = base.partition(".")
    return posixpath.join(folder, stem), extension.lower()
