"""How the C library keeps the memory of maps between operations."""

from __future__ import annotations

import ctypes
import sys

# mallopt's parameters, malloc.h of glibc
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Lets this process keep freed blocks for the next operation, whatever their size.

    By default glibc returns a block of several MB to the system as soon as it is freed and fetches the next one anew,
    zeroed page by page on first touch. A forward on CPU does so for every map: keeping the blocks takes a third of the
    time off. The process then holds the most it ever needed. For a process that does little but run networks; call it
    once, before the first forward.

    Returns:
        False where the C library is not glibc; nothing is changed then.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
