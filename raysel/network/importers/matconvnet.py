"""MatConvNet's SimpleNN files (``imagenet-vgg-m.mat`` and others), in the old layout and the new one.

Vedaldi, Lenc: MatConvNet, ACM Multimedia 2015, and its manual. The layers are in ``layers`` or ``net.layers``, the
preprocessing in ``normalization`` (old) or ``meta.normalization`` (new), the class names beside it. Images are RGB,
0 to 255.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from raysel.config import Interpolation, NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.files import read_bytes, redact_uri
from raysel.network.importers.importer import ImportedNetwork
from raysel.network.importers.matconvnet_layers import Floats, Struct, build, numbers

_INTERPOLATIONS: dict[str, Interpolation] = {
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "nearest": "nearest",
    "box": "box",
    "lanczos3": "lanczos",
}


def import_network(config: NetworkConfig) -> ImportedNetwork:
    """The network in the file that `config` names."""
    return read(config.network)


def read(uri: str) -> ImportedNetwork:
    """Reads a ``.mat`` file, by path or URI.

    Raises:
        RayselError: the file does not exist, is not a MATLAB file, or holds no SimpleNN network that raysel can build.
    """
    shown = redact_uri(uri)
    net = _load(read_bytes(uri, "network"), shown)
    meta = net.get("meta") or {}
    layers = net.get("layers")
    layers = [layers] if isinstance(layers, dict) else layers
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise RayselError(f"{shown} holds no MatConvNet SimpleNN network: 'layers' is missing or of another kind")
    preprocessing, average_image = _preprocessing(meta.get("normalization") or net.get("normalization") or {})
    module = build(layers, preprocessing, average_image, shown)
    return ImportedNetwork(module, preprocessing, _classes(meta.get("classes") or net.get("classes") or {}))


def _load(content: bytes, shown: str) -> Struct:
    from scipy.io import loadmat

    try:
        variables = loadmat(io.BytesIO(content), struct_as_record=False, squeeze_me=False)
    except Exception as error:  # scipy raises what the bytes lead it to
        raise RayselError(f"{shown} is not a MATLAB file that scipy can read ({type(error).__name__})") from error
    net = {key: _plain(value) for key, value in variables.items() if not key.startswith("__")}
    inner = net.get("net")
    return inner if isinstance(inner, dict) else net


def _plain(value: Any) -> Any:
    """MATLAB structs as dicts, cells as lists, text as str; numbers stay arrays."""
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype == object:
        items = [_plain(item) for item in value.reshape(-1)]
        return items[0] if len(items) == 1 and isinstance(items[0], dict) else items
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        return str(value.reshape(-1)[0]) if value.size else ""
    return value


def _preprocessing(normalization: Struct) -> tuple[Preprocessing, Floats | None]:
    """The preprocessing with its mean color, and the average image, float32 [3, H, W], if there is one."""
    rows, columns = (int(n) for n in (numbers(normalization, "imageSize", 224) * 2)[:2])
    border = numbers(normalization, "border", 0)
    resized = (rows + int(border[0]), columns + int(border[-1]))
    share = numbers(normalization, "cropSize", 0)
    if all(share):
        resized = (round(rows / share[0]), round(columns / share[-1]))
    mean, average_image = _average(normalization.get("averageImage"))
    preprocessing = Preprocessing(
        resize=min(resized) if numbers(normalization, "keepAspect", 1)[0] else resized,
        crop=(rows, columns),
        interpolation=_INTERPOLATIONS.get(str(normalization.get("interpolation", "bilinear")), "bilinear"),
        scale=1.0,
        mean=mean,
        std=(1.0, 1.0, 1.0),
    )
    return preprocessing, average_image


def _average(value: Any) -> tuple[tuple[float, float, float], Floats | None]:
    """The mean color, and the average image unless the file has only its color."""
    if value is None or not np.size(value):
        return (0.0, 0.0, 0.0), None
    image = np.asarray(value, np.float32)
    red, green, blue = (float(mean) for mean in image.reshape(-1, 3).mean(axis=0))
    return (red, green, blue), image.transpose(2, 0, 1) if image.size > 3 and image.ndim == 3 else None


def _classes(classes: Struct) -> tuple[str, ...]:
    names = classes.get("description") or classes.get("name") or []
    return tuple(str(name) for name in names) if isinstance(names, list) else (str(names),)
