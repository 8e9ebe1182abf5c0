"""Configurations that `load` refuses."""

from __future__ import annotations

from typing import Any

import pytest

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.network import load


def assert_refused(message: str, **settings: Any) -> None:
    """`load` raises an error of one line that matches `message`."""
    with pytest.raises(RayselError, match=message) as raised:
        load(NetworkConfig(**settings))
    assert "\n" not in str(raised.value)
