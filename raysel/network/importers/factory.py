"""Networks from the user's own code: a factory in a module of Python, named ``package.module:factory``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import nn

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError, type_and_first_line
from raysel.network.importers.importer import ImportedNetwork, load_weights, seeded
from raysel.network.wrappers import unwrapped


def import_network(config: NetworkConfig) -> ImportedNetwork:
    """Calls the factory, which returns a module, or a module and its preprocessing."""
    factory = _factory(config.network)
    try:
        made = seeded(lambda: factory(**config.network_args))
    except (Exception, SystemExit) as error:  # the factory can raise anything
        raise RayselError(f"{config.network} failed with {type_and_first_line(error)}") from error
    module, preprocessing = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, nn.Module):
        raise RayselError(f"{config.network} must return a torch.nn.Module, not {type(module).__name__}")
    module = unwrapped(module, config.network)
    if preprocessing is None:
        preprocessing = getattr(module, "preprocessing", None)
    notes = load_weights(module, config)
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise RayselError(
            f"{config.network} returns weights on the device 'meta', without values: make them on the CPU"
        )
    return ImportedNetwork(module, _preprocessing(preprocessing, config.network), notes=notes)


def _factory(network: str) -> Callable[..., Any]:
    package, _, name = network.partition(":")
    try:
        with _importable_working_directory():
            module = importlib.import_module(package)
    except (Exception, SystemExit) as error:  # the module can raise anything
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and (package == missing or package.startswith(missing + ".")):
            raise RayselError(
                f"unknown network {network}: there is no module {missing!r} on the Python path or in this folder"
            ) from error
        raise RayselError(f"importing {package} failed with {type_and_first_line(error)}") from error
    try:
        factory = attrgetter(name)(module)
    except AttributeError:
        factory = None
    if not callable(factory):
        raise RayselError(f"unknown network {network}: module {package!r} has no function {name!r}")
    return factory


@contextmanager
def _importable_working_directory() -> Iterator[None]:
    """Puts the working directory on the Python path, as ``python -m`` does, for training scripts that lie there."""
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
        option = ".".join(map(str, fault["loc"]))
        raise RayselError(f"{network}: its preprocessing is wrong at {option!r}: {fault['msg']}") from error
