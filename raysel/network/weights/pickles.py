"""Pickled checkpoints, read without running the code that they name."""

from __future__ import annotations

import io
import pickle
import re
from collections import OrderedDict
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

_NEEDS_ITEMS = re.compile(r"Can only SETITEMS? for dict.*\bbut got <class '(?:[\w.]*\.)?Inert\[(.*)\]'>")
_UNKNOWN_NAME = re.compile(r"Unsupported global: GLOBAL ([\w.]+) was not an allowed global")


class Inert(list[Any]):
    """Stands for an object of a checkpoint that is neither a tensor nor plain data, such as a learning rate schedule.

    It takes whatever the pickle gives to the object, and does nothing. torch only appends to lists, so it is one.
    """

    # It may be a key, as members of an enumeration are.
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __new__(cls, *_: Any) -> Any:
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def unpickle(content: bytes) -> Any:
    """The object in a file of ``torch.save``. Classes and functions that torch does not know as safe become `Inert`.

    Raises:
        pickle.UnpicklingError: it is not such a file, or it calls the operating system.
        Exception: whatever a broken archive raises.
    """
    unsafe, mappings = _unknown_names(content), set()
    while True:
        stand_ins: list[Any] = [(_stand_in(name, name in mappings), name) for name in unsafe]
        try:
            with safe_globals(stand_ins):
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if (found := _NEEDS_ITEMS.search(str(error))) and found[1] not in mappings:
                mappings.add(found[1])
            elif (found := _UNKNOWN_NAME.search(str(error))) and found[1] not in unsafe:
                unsafe.append(found[1])
            else:
                raise


def _unknown_names(content: bytes) -> list[str]:
    """Names of the classes and functions that are not plain data for torch. In a file older than torch 1.6, torch finds
    them one after another while it loads."""
    try:
        return sorted(get_unsafe_globals_in_checkpoint(io.BytesIO(content)))
    except ValueError:
        return []


def _stand_in(name: str, mapping: bool) -> type:
    """A class for one name. torch only gives items to dictionaries, so a kind of mapping has to be one."""
    made = (lambda _, *arguments: OrderedDict()) if mapping else Inert.__new__
    return type(f"Inert[{name}]", (Inert,), {"__new__": made})
