"""Caffe's ``.caffemodel`` files (``VGG_CNN_M.caffemodel`` and its kin): chains of layers, in both of its formats.

Field numbers are those of caffe.proto. Images are BGR, 0 to 255, less a mean; the file does not say which mean.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from raysel.config import Preprocessing
from raysel.errors import RayselError
from raysel.network.importers.chain import Activation, Chain, Conv, Layer, Linear, Normalization, Pool

Message = dict[int, list[Any]]
"""Values by field number: int for varints, bytes for the rest."""

PREPROCESSING = Preprocessing(
    resize=256,
    crop=(224, 224),
    scale=1.0,
    mean=(123.68, 116.779, 103.939),
    std=(1.0, 1.0, 1.0),
    channel_order="BGR",
)
"""The mean colour (here R, G, B) of ILSVRC 2012 that the authors of VGG give for Caffe."""

# V1LayerParameter.LayerType
_KINDS = {1: "Accuracy", 4: "Convolution", 5: "Data", 6: "Dropout", 8: "Flatten", 9: "HDF5Data", 12: "ImageData"}
_KINDS |= {14: "InnerProduct", 15: "LRN", 17: "Pooling", 18: "ReLU", 19: "Sigmoid", 20: "Softmax", 22: "Split"}
_KINDS |= {21: "SoftmaxWithLoss", 23: "TanH", 24: "WindowData", 29: "MemoryData"}
_SKIPPED = {"Accuracy", "Data", "Input", "Dropout", "Flatten", "HDF5Data", "ImageData", "Softmax", "SoftmaxWithLoss"}
_SKIPPED |= {"Split", "WindowData", "MemoryData"}
_ACTIVATIONS: dict[str, type[nn.Module]] = {"ReLU": nn.ReLU, "Sigmoid": nn.Sigmoid, "TanH": nn.Tanh}

# Where the two versions keep the same things: name, kind, bottom, top, blobs, then the parameters of each kind.
_V1 = {"name": 4, "type": 5, "bottom": 2, "top": 3, "blobs": 6, "conv": 10, "inner": 17, "lrn": 18, "pool": 19}
_V2 = {"name": 1, "type": 2, "bottom": 3, "top": 4, "blobs": 7, "conv": 106, "inner": 117, "lrn": 118, "pool": 121}


def read(path: str, mean_image: str | None = None) -> Chain:
    """Reads a ``.caffemodel``, and its ``.binaryproto`` average image if there is one.

    Raises:
        RayselError: no such file, no Caffe model, branches, or a layer of an unknown kind.
    """
    net = _message(_bytes(path), path)
    raw = [(_V1, layer) for layer in net[2]] + [(_V2, layer) for layer in net[100]]
    if not raw:
        raise RayselError(f"{path} holds no layers: is it a .caffemodel?")
    layers: list[Layer] = []
    top: str | None = None
    for fields, content in raw:
        message = _message(content, path)
        name = _text(message[fields["name"]], "layer")
        kind = message[fields["type"]][0] if message[fields["type"]] else b""
        kind = _KINDS.get(kind, str(kind)) if isinstance(kind, int) else kind.decode()
        if kind in _SKIPPED:
            continue
        bottom = _text(message[fields["bottom"]], "")
        if len(message[fields["bottom"]]) > 1 or (top is not None and bottom != top):
            raise RayselError(f"{path}: layer {name!r} does not follow the one before it; raysel reads chains only")
        top = _text(message[fields["top"]], bottom)
        layers.append(_layer(kind, name, message, fields, path))
    average = None if mean_image is None else _average(mean_image)
    preprocessing = PREPROCESSING if average is None else _with_mean(average)
    return Chain(tuple(layers), preprocessing, average)


def _layer(kind: str, name: str, message: Message, fields: dict[str, int], path: str) -> Layer:
    if kind in _ACTIVATIONS:
        return Activation(name, _ACTIVATIONS[kind]())
    parameters = {"Convolution": "conv", "InnerProduct": "inner", "LRN": "lrn", "Pooling": "pool"}.get(kind)
    if parameters is None:
        raise RayselError(f"{path}: layer {name!r} is of the kind {kind!r}, which raysel does not read")
    own = _message(b"".join(message[fields[parameters]]), path)
    if kind == "LRN":
        size = _number(own, 1, 5)
        alpha, beta, k = (_float(own, field, default) for field, default in ((2, 1.0), (3, 0.75), (5, 1.0)))
        return Normalization(name, size, k, alpha / size, beta)
    if kind == "Pooling":
        top, left = _sides(own, 4, (9, 10), 0)
        kernel, stride = _sides(own, 2, (5, 6), 1), _sides(own, 3, (7, 8), 1)
        mean = _number(own, 1, 0) == 1
        if _number(own, 1, 0) > 1 or (mean and (top or left)):
            raise RayselError(f"{path}: layer {name!r} pools in a way that raysel does not read")
        return Pool(name, kernel, stride, (top, top, left, left), mean=mean, ceil=True)
    blobs = [_blob(content, path) for content in message[fields["blobs"]]]
    if not blobs:
        raise RayselError(f"{path}: layer {name!r} has no weights: is this a network's description alone?")
    bias = blobs[1].reshape(-1) if len(blobs) > 1 else None
    if kind == "InnerProduct":
        return Linear(name, blobs[0].reshape(_number(own, 1, blobs[0].shape[-2]), -1), bias)
    top, left = _sides(own, 3, (9, 10), 0)
    return Conv(
        name,
        blobs[0].reshape(-1, *blobs[0].shape[-3:]),
        bias,
        _sides(own, 6, (13, 14), 1),
        (top, top, left, left),
        _sides(own, 18, (0, 0), 1),
    )


def _blob(content: bytes, path: str) -> NDArray[np.float32]:
    """BlobProto: data in field 5 (floats) or 8 (doubles), shape in 7, or in 1 to 4 as the old four dimensions."""
    blob = _message(content, path)
    values = np.frombuffer(b"".join(blob[5]), "<f4") if blob[5] else np.frombuffer(b"".join(blob[8]), "<f8")
    if blob[7]:
        shape = tuple(_packed(_message(blob[7][0], path)[1]))
    else:
        shape = tuple(_number(blob, field, 1) for field in (1, 2, 3, 4))
    return values.astype(np.float32).reshape(shape)


def _average(path: str) -> NDArray[np.float32]:
    """The centre 224 x 224 of an average image, BGR: float32[3, 224, 224]."""
    image = _blob(_bytes(path), path)
    rows, columns = ((n - 224) // 2 for n in image.shape[-2:])
    if min(rows, columns) < 0 or image.size != 3 * image.shape[-2] * image.shape[-1]:
        raise RayselError(f"{path} is no average image of three channels and at least 224 x 224 pixels")
    return image.reshape(3, *image.shape[-2:])[:, rows : rows + 224, columns : columns + 224]


def _with_mean(average: NDArray[np.float32]) -> Preprocessing:
    from dataclasses import replace

    blue, green, red = (float(value) for value in average.mean(axis=(1, 2)))
    return replace(PREPROCESSING, mean=(red, green, blue))


def _sides(message: Message, both: int, each: tuple[int, int], default: int) -> tuple[int, int]:
    """Rows and columns: given for each, or once or twice for both."""
    if each[0] and (message[each[0]] or message[each[1]]):
        return _number(message, each[0], default), _number(message, each[1], default)
    values = _packed(message[both]) or [default]
    return values[0], values[-1]


def _packed(values: list[Any]) -> list[int]:
    """Repeated integers, packed in one value or one by one."""
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
        else:
            at = 0
            while at < len(value):
                number, at = _varint(value, at)
                numbers.append(number)
    return numbers


def _number(message: Message, field: int, default: int) -> int:
    return int(message[field][-1]) if message[field] else default


def _float(message: Message, field: int, default: float) -> float:
    return float(struct.unpack("<f", message[field][-1])[0]) if message[field] else default


def _text(values: list[Any], default: str) -> str:
    return values[0].decode() if values else default


def _bytes(path: str) -> bytes:
    if not Path(path).is_file():
        raise RayselError(f"no weights at {path}")
    return Path(path).read_bytes()


def _message(content: bytes, path: str) -> Message:
    """Fields of a protocol buffer's message."""
    message: Message = defaultdict(list)
    try:
        for field, value in _fields(content):
            message[field].append(value)
    except (IndexError, ValueError) as error:
        raise RayselError(f"{path} is no Caffe file, or cut short") from error
    return message


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values in the wire format of protocol buffers."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(content, at)
        else:
            length = {1: 8, 5: 4}.get(wire, -1)
        if length < 0 or at + length > len(content):
            raise ValueError("not a message")
        yield key >> 3, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
