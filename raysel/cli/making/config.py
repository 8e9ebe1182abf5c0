"""``raysel config``: an example of a configuration file, or a check of one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson
from raysel.cli.toml import example as example_file
from raysel.cli.toml import run_config
from raysel.config import RunConfig
from raysel.errors import RayselError


def config(
    *,
    example: bool = False,
    check: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Print an example, or check a file.

    Args:
        example: Print a TOML file with every option as a comment, with its default.
        check: Check a TOML file: its options must exist and have valid values.
    """
    if example is (check is not None):
        raise RayselError("give either --example or --check FILE: see raysel config --help")
    if check:
        run_config({}, check).check()
        print(json.dumps({"file": str(check), "valid": True}) if as_json else f"{check} is valid")
    else:
        print(json.dumps(asdict(RunConfig())) if as_json else example_file())
