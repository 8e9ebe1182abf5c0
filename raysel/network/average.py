"""The average image that some networks subtract from every input, if it is a separate file."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from raysel.config import Preprocessing
from raysel.errors import RayselError
from raysel.files import read_bytes, redact_uri


def with_average(preprocessing: Preprocessing) -> tuple[Preprocessing, NDArray[np.float32] | None]:
    """Preprocessing with the mean color of its average image, and that image, float32[H, W, 3], or None if it has none.

    Raises:
        RayselError: no such file, not a ``.npy`` file, or an image of another size than the network's input.
    """
    path = preprocessing.average_image
    if path is None:
        return preprocessing, None
    content, shown = read_bytes(path, "average image"), redact_uri(path)
    try:
        average: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32)
    except (ValueError, OSError, EOFError, AttributeError, TypeError) as error:
        raise RayselError(f"{shown} is not an average image: save it with numpy.save as .npy") from error
    wanted = (*preprocessing.input_size, 3)
    if average.shape != wanted or not np.isfinite(average).all():
        raise RayselError(f"the average image in {shown} is {list(average.shape)}, the network's input {list(wanted)}")
    red, green, blue = average.reshape(-1, 3).mean(axis=0, dtype=np.float64).tolist()
    return replace(preprocessing, mean=(red, green, blue)), average
