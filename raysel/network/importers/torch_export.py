"""Networks that torch.export wrote to a ``.pt2`` file."""

from __future__ import annotations

import io

import torch
from torch.export import ExportedProgram

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.files import read_bytes, redact_uri
from raysel.network.graph.exporting import input_shape
from raysel.network.graph.silence import silenced
from raysel.network.importers.importer import ImportedNetwork


def import_network(config: NetworkConfig) -> ImportedNetwork:
    """The program in the file, with preprocessing to the size of image that it takes.

    Raises:
        RayselError: the file does not exist, is not trusted, or holds no program that takes a batch of images.
    """
    program = _read(config.network, config.unsafe_pickle)
    shape = input_shape(program)
    if len(shape) != 4 or shape[1] not in (3, None):
        raise RayselError(
            f"{redact_uri(config.network)} takes {list(shape)}, not a batch of images [batch, 3, height, width]"
        )
    height, width = shape[2] or 224, shape[3] or 224
    preprocessing = Preprocessing(resize=min(height, width) * 8 // 7, crop=(height, width))
    return ImportedNetwork(program.module(), preprocessing, program=program)


def _read(uri: str, unsafe_pickle: bool) -> ExportedProgram:
    content, shown = read_bytes(uri, "exported program"), redact_uri(uri)
    if not unsafe_pickle:  # PyTorch unpickles parts of the file
        raise RayselError(
            f"{shown} is an exported program, which may run code when it is read: give --unsafe-pickle if you trust "
            "it, or name the network as package.module:factory with its weights as .safetensors"
        )
    try:
        with silenced():
            return torch.export.load(io.BytesIO(content))
    except Exception as error:  # a broken archive can raise anything; torch's message refers to its log
        raise RayselError(
            f"{shown} is not a torch.export program that torch {torch.__version__} can read: write it with "
            "torch.export.save, or name the network as package.module:factory"
        ) from error
