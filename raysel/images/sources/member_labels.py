"""Labels that stand beside an image in a WebDataset shard."""

from __future__ import annotations

import json

LABEL_EXTENSIONS = ("cls", "json", "txt")
"""Extensions of members that may hold a label, the first to be believed first."""
MAX_LABEL_BYTES = 16 * 1024
"""Larger members hold something else, and are not read."""
MAX_LABEL_LENGTH = 200
"""Longer texts are captions, not labels."""
_FIELDS = ("label", "class", "cls")


def member_label(extension: str, data: bytes) -> str | None:
    """The label that a ``cls``, ``json`` or ``txt`` member holds; None where it holds none."""
    try:
        text = data.decode("utf-8").strip()
        if extension == "json":
            return _json_label(json.loads(text))
    except ValueError:  # neither UTF-8 nor JSON
        return None
    return text if text and len(text) <= MAX_LABEL_LENGTH and "\n" not in text else None


def _json_label(value: object) -> str | None:
    if isinstance(value, dict):
        value = next((value[name] for name in _FIELDS if value.get(name) is not None), None)
    return str(value).strip() or None if isinstance(value, str | int) and not isinstance(value, bool) else None
