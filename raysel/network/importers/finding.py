"""Where networks come from: torchvision, Chatfield et al., or one's own factory."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.export import ExportedProgram

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError, did_you_mean, type_and_first_line
from raysel.network.graph.exporting import input_shape, read_program
from raysel.network.importers import caffe, chatfield, matconvnet, torchvision
from raysel.network.importers.chain import build
from raysel.network.importers.initialization import seeded, uninitialized
from raysel.network.weights import StateDict, fit, read_state_dict

IMPORTED = (".mat", ".caffemodel")
"""Files that hold a network with its weights, preprocessing and class names."""

RANDOM = "random"
"""Value of `NetworkConfig.weights` for an untrained network, initialised with seed 0."""


class ImportedNetwork(NamedTuple):
    """A network as its source gives it."""

    module: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...] = ()
    """Names of its outputs, where the source has them."""


def find(config: NetworkConfig) -> ImportedNetwork:
    """The module that `config` names, with its weights, and the network's own preprocessing.

    Raises:
        RayselError: unknown network, factory that fails, weights that are missing or do not fit.
    """
    if config.network.endswith(IMPORTED):
        if config.weights is not None:
            raise RayselError(f"{config.network} holds its own weights: leave --weights out")
        return _imported(config.network, config)
    kind, _, name = config.network.partition(":")
    if not kind or not name:
        raise RayselError(
            f"unknown network {config.network!r}: give torchvision:NAME, chatfield:vgg-m, package.module:factory "
            "or a .pt2, .mat or .caffemodel file"
        )
    if kind == "torchvision":
        return _torchvision(name, config)
    if kind == "chatfield":
        return _chatfield(name, config)
    return _own(kind, name, config)


def find_program(config: NetworkConfig) -> tuple[ExportedProgram, Preprocessing]:
    """The exported program in the ``.pt2`` file that `config` names, and preprocessing to the size that it takes.

    Raises:
        RayselError: no such file, not a program, not trusted, or weights were given beside it.
    """
    if config.weights is not None:
        raise RayselError(f"{config.network} holds its own weights: leave --weights out")
    program = read_program(config.network, config.unsafe_pickle)
    shape = input_shape(program)
    if len(shape) != 4 or shape[1] not in (3, None):
        raise RayselError(f"{config.network} takes {list(shape)}, not a batch of images [batch, 3, height, width]")
    height, width = shape[2] or 224, shape[3] or 224
    return program, Preprocessing(resize=min(height, width) * 8 // 7, crop=(height, width))


def _torchvision(name: str, config: NetworkConfig) -> ImportedNetwork:
    known = torchvision.names()
    if name not in known:
        raise RayselError(f"unknown network torchvision:{name}; {did_you_mean(name, known)}")
    weights = _required_weights(config)
    published = torchvision.is_weights_name(name, weights)
    preprocessing = torchvision.preprocessing(name, weights)
    state: StateDict | None = None
    if published:
        state = torchvision.published_weights(name, weights)
    elif weights != RANDOM:
        state = read_state_dict(weights, config.unsafe_pickle)
    if state is not None:
        state = torchvision.renamed(name, state)
    make = seeded if state is None else uninitialized
    module = make(lambda: torchvision.build(name, config.network_args, state))
    if state is not None:
        fit(module, state, weights)
    return ImportedNetwork(module, preprocessing)


def _chatfield(name: str, config: NetworkConfig) -> ImportedNetwork:
    if name not in chatfield.NAMES:
        raise RayselError(f"unknown network chatfield:{name}; {did_you_mean(name, chatfield.NAMES)}")
    weights = _required_weights(config)
    if weights.endswith(IMPORTED):
        found = _imported(weights, config)
        if _shapes(found.module) != _shapes(uninitialized(lambda: chatfield.build(name))):
            raise RayselError(f"{weights} holds another network than {config.network}: name the file as the network")
        return found
    make = seeded if weights == RANDOM else uninitialized
    try:
        module = make(lambda: chatfield.build(name, **config.network_args))
    except TypeError as error:
        raise RayselError(f"chatfield:{name} does not take these --network-args: {error}") from error
    if weights != RANDOM:
        fit(module, read_state_dict(weights, config.unsafe_pickle), weights)
    return ImportedNetwork(module, chatfield.PREPROCESSING)


def _imported(path: str, config: NetworkConfig) -> ImportedNetwork:
    """The network in a MatConvNet or Caffe file."""
    mean_image = config.network_args.get("mean_image")
    chain = matconvnet.read(path) if path.endswith(".mat") else caffe.read(path, mean_image)
    return ImportedNetwork(build(chain, path), chain.preprocessing, chain.classes)


def _shapes(module: nn.Module) -> list[tuple[int, ...]]:
    """Shapes of the convolutions' weights, which tell the networks of Chatfield et al. apart."""
    return [tuple(child.weight.shape) for child in module.modules() if isinstance(child, nn.Conv2d)]


def _own(package: str, name: str, config: NetworkConfig) -> ImportedNetwork:
    factory = _attribute(package, name)
    try:
        made = seeded(lambda: factory(**config.network_args))
    except Exception as error:  # the factory's own code
        raise RayselError(f"{config.network} failed with {type_and_first_line(error)}") from error
    module, preprocessing = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, nn.Module):
        raise RayselError(f"{config.network} must return a torch.nn.Module, not {type(module).__name__}")
    if preprocessing is None:
        preprocessing = getattr(module, "preprocessing", None)
    if config.weights is not None and config.weights != RANDOM:
        fit(module, read_state_dict(config.weights, config.unsafe_pickle), config.weights)
    return ImportedNetwork(module, _preprocessing(preprocessing, config.network))


def _attribute(package: str, name: str) -> Callable[..., Any]:
    with _working_directory_importable():
        try:
            found = importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name and (package == error.name or package.startswith(error.name + ".")):
                raise RayselError(
                    f"unknown network {package}:{name}: no module {error.name!r} on the Python path or here"
                ) from error
            raise RayselError(f"importing {package} failed with {type_and_first_line(error)}") from error
        except Exception as error:  # the module's own code
            raise RayselError(f"importing {package} failed with {type_and_first_line(error)}") from error
    try:
        factory = attrgetter(name)(found)
    except AttributeError:
        factory = None
    if not callable(factory):
        raise RayselError(f"unknown network {package}:{name}: module {package!r} has no function {name!r}")
    return factory


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    """A training script in the working directory can be named, as with ``python -m``."""
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        yield
    finally:
        if added:
            sys.path.remove(here)


def _preprocessing(value: Any, network: str) -> Preprocessing:
    if value is None or callable(value):  # a transform is code, not data
        return Preprocessing()
    try:
        return TypeAdapter(Preprocessing).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise RayselError(f"{network}: its preprocessing is wrong at {where!r}: {fault['msg']}") from error


def _required_weights(config: NetworkConfig) -> str:
    if config.weights is None:
        raise RayselError(
            f"{config.network} needs its trained weights: give --weights FILE (.safetensors or .pth), "
            "or --weights random to try it untrained"
        )
    return config.weights
