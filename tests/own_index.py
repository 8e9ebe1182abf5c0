"""Packages that add an index, installed into a folder as pip does it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.conftest import ROOT

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
CODE = next(text for kind, text in BLOCKS if kind == "python" and "SelectivityIndex(" in text)
"""The README's own index."""
PROJECT = next(tomllib.loads(text) for kind, text in BLOCKS if kind == "toml" and "entry-points" in text)
"""The README's pyproject.toml."""


def install(folder: Path, code: str = CODE, package: str = "", version: str = "", entry: str = "") -> Path:
    """Install a package of one module; what is not given is as in the README. Returns the folder, to be on sys.path."""
    project = PROJECT["project"]
    ((group, entries),) = project["entry-points"].items()
    ((name, value),) = entries.items()
    package, entry = package or project["name"], entry or f"{name} = {value}"
    module = entry.partition("=")[2].partition(":")[0].strip()
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{package.replace('-', '_')}-{version or project['version']}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version or project['version']}\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    return folder
