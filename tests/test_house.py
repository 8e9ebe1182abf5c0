"""The shape of the code: small modules, small folders, one meaning per name, no reference to outside documents."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from raysel.cli.commands import GROUPS

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "raysel").rglob("*.py"))
FOLDERS = sorted({module.parent for module in MODULES})

MAX_LINES = 250
MAX_MODULES = 13
PRIVATE_NOTES = re.compile(r"design,? sec|DESIGN\.md|\.\./shared|issue \d|ray-notes", re.IGNORECASE)
STILTED_WORDING = re.compile(
    r"(?<!there )\b(?:is|are) no (?!longer|more|such|larger|smaller|limit|bound)\w+"
    r"|\b(?:told|bears|lets in|lets nobody|whoever|likewise|in mid-run)\b",
    re.IGNORECASE,
)
COMMANDS = {name.replace("-", "_") for group in GROUPS for name in group.helps} | {"bench"}
"""Modules of raysel/cli are named after their commands, also where another module does the command's work."""


STEPS = re.findall(r"`([\w.]+)` in `([\w/]+\.py)`", (ROOT / "raysel" / "README.md").read_text())
"""What the tour for developers names, and the module in which it is."""


def of_repository(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("module", MODULES, ids=of_repository)
def test_a_module_is_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("folder", FOLDERS, ids=of_repository)
def test_a_folder_is_seen_at_a_glance(folder: Path) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES, modules


@pytest.mark.parametrize("folder", FOLDERS, ids=of_repository)
def test_a_folder_says_what_it_is_for(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


def test_no_two_classes_have_one_name() -> None:
    places = defaultdict(list)
    for module in MODULES:
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(of_repository(module))
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_no_basename_means_two_things() -> None:
    names = Counter(
        module.stem
        for module in MODULES
        if not module.stem.startswith("__") and not (module.parent.parent.name == "cli" and module.stem in COMMANDS)
    )
    assert not {name for name, count in names.items() if count > 1}


@pytest.mark.parametrize("module", MODULES, ids=of_repository)
def test_the_text_refers_to_nothing_outside_the_repository(module: Path) -> None:
    assert not PRIVATE_NOTES.findall(module.read_text())


@pytest.mark.parametrize("module", MODULES, ids=of_repository)
def test_the_wording_is_plain(module: Path) -> None:
    assert not STILTED_WORDING.findall(module.read_text())


@pytest.mark.parametrize(("name", "module"), STEPS)
def test_the_tour_names_what_is_there(name: str, module: str) -> None:
    text = (ROOT / "raysel" / module).read_text()
    for part in name.split("."):
        assert re.search(rf"^\s*(def|class) {part}\b", text, re.MULTILINE)


def test_the_tour_walks_all_the_way() -> None:
    assert len(STEPS) > 15
