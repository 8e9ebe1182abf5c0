"""Pictures that commands write to a file."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from raysel.cli.arguments import cannot_write
from raysel.errors import RayselError


def check_picture_file(out: Path | None) -> None:
    """Raises `RayselError` if the file has another suffix than ``.png``."""
    if out is not None and out.suffix.lower() != ".png":
        raise RayselError(f"--out {out}: the picture is a PNG, so give a name that ends in .png")


def write_picture(picture: Image.Image, out: Path) -> None:
    """Write a PNG. Raises `RayselError` if that fails."""
    data = io.BytesIO()
    picture.save(data, "PNG")
    try:
        out.write_bytes(data.getvalue())
    except OSError as error:
        raise cannot_write(out, error) from None
