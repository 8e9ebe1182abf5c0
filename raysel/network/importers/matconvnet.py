"""MatConvNet's SimpleNN files (``imagenet-vgg-m.mat`` and its kin), old layout and new.

Vedaldi, Lenc: MatConvNet, ACM Multimedia 2015, and its manual. The layers stand in ``layers`` or ``net.layers``;
weights in ``filters`` and ``biases`` (old) or ``weights`` (new), as [rows, columns, channels, outputs]; preprocessing
in ``normalization`` (old) or ``meta.normalization`` (new); class names beside it. Images are RGB, 0 to 255.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from raysel.config import Interpolation, Preprocessing
from raysel.errors import RayselError
from raysel.network.importers.chain import Activation, Chain, Conv, Layer, Normalization, Pool, Sides, pair

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
_SKIPPED = ("softmax", "softmaxloss", "loss", "dropout")
_INTERPOLATIONS: dict[str, Interpolation] = {
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "nearest": "nearest",
    "box": "box",
    "lanczos3": "lanczos",
}


def read(path: str) -> Chain:
    """Reads a ``.mat`` file.

    Raises:
        RayselError: no such file, no MATLAB file, no SimpleNN network, or a layer of an unknown kind.
    """
    net = _load(path)
    meta = net.get("meta") or {}
    layers = net.get("layers")
    layers = [layers] if isinstance(layers, dict) else layers
    if layers is None or not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise RayselError(f"{path} holds no MatConvNet SimpleNN network: 'layers' is missing or of another kind")
    normalization = meta.get("normalization") or net.get("normalization") or {}
    preprocessing, average = _preprocessing(normalization)
    read_layers = tuple(
        layer for k, raw in enumerate(layers, start=1) if (layer := _layer(raw, f"layer{k}", path)) is not None
    )
    return Chain(read_layers, preprocessing, average, _classes(meta.get("classes") or net.get("classes") or {}))


def _load(path: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise RayselError(f"no weights at {path}")
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise RayselError(f"{path}: reading MATLAB files needs scipy: pip install scipy") from error
    try:
        content = loadmat(path, struct_as_record=False, squeeze_me=False)
    except Exception as error:  # scipy raises what the bytes lead it to
        raise RayselError(f"{path} is no MATLAB file that scipy reads ({type(error).__name__})") from error
    net = {key: _plain(value) for key, value in content.items() if not key.startswith("__")}
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


def _layer(raw: dict[str, Any], fallback: str, path: str) -> Layer | None:
    kind = str(raw.get("type", ""))
    name = str(raw.get("name") or fallback)
    if kind in _SKIPPED:
        return None
    if kind == "conv":
        filters, biases = _weights(raw)
        weight = np.ascontiguousarray(filters.reshape(*filters.shape, *(1,) * (4 - filters.ndim)).transpose(3, 2, 0, 1))
        bias = biases.reshape(-1) if biases is not None and biases.size else None
        return Conv(name, weight, bias, _pair(raw, "stride", 1), _sides(raw), _pair(raw, "dilate", 1))
    if kind == "pool":
        method = raw.get("method", "max")
        return Pool(name, _pair(raw, "pool", 1), _pair(raw, "stride", 1), _sides(raw), mean=method == "avg")
    if kind in ("normalize", "lrn"):
        size, kappa, alpha, beta = (float(value) for value in raw["param"].reshape(-1))
        return Normalization(name, int(size), kappa, alpha, beta)
    if kind in _ACTIVATIONS:
        return Activation(name, _ACTIVATIONS[kind]())
    raise RayselError(f"{path}: layer {name!r} is of the kind {kind!r}, which raysel does not read")


def _weights(raw: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    weights = raw.get("weights")
    if weights is None:
        return raw["filters"], raw.get("biases")
    return weights[0], weights[1] if len(weights) > 1 else None


def _numbers(raw: dict[str, Any], key: str, default: float) -> list[float]:
    value = raw.get(key)
    return [default] if value is None or not np.size(value) else [float(v) for v in np.reshape(value, -1)]


def _pair(raw: dict[str, Any], key: str, default: int) -> tuple[int, int]:
    return pair(_numbers(raw, key, default))


def _sides(raw: dict[str, Any]) -> Sides:
    """One number for all sides, or [top bottom left right]."""
    pads = [int(value) for value in _numbers(raw, "pad", 0)]
    return (pads[0],) * 4 if len(pads) == 1 else (pads[0], pads[1], pads[2], pads[3])


def _preprocessing(raw: dict[str, Any]) -> tuple[Preprocessing, NDArray[np.float32] | None]:
    rows, columns = (int(n) for n in (_numbers(raw, "imageSize", 224) * 2)[:2])
    border = _numbers(raw, "border", 0)
    resized = (rows + int(border[0]), columns + int(border[-1]))
    if "cropSize" in raw and np.size(raw["cropSize"]):
        share = _numbers(raw, "cropSize", 1)
        resized = (round(rows / share[0]), round(columns / share[-1]))
    keep_aspect = bool(_numbers(raw, "keepAspect", 1)[0])
    average = raw.get("averageImage")
    image = None if average is None or not np.size(average) else np.asarray(average, np.float32)
    image = None if image is None else image.reshape(-1, 3) if image.size == 3 else image
    mean = (0.0, 0.0, 0.0) if image is None else tuple(float(m) for m in image.reshape(-1, 3).mean(axis=0))
    preprocessing = Preprocessing(
        resize=min(resized) if keep_aspect else resized,
        crop=(rows, columns),
        interpolation=_INTERPOLATIONS.get(str(raw.get("interpolation", "bilinear")), "bilinear"),
        scale=1.0,
        mean=(mean[0], mean[1], mean[2]),
        std=(1.0, 1.0, 1.0),
    )
    return preprocessing, None if image is None or image.ndim != 3 else image.transpose(2, 0, 1)


def _classes(raw: dict[str, Any]) -> tuple[str, ...]:
    names = raw.get("description") or raw.get("name") or []
    return tuple(str(name) for name in names) if isinstance(names, list) else (str(names),)
