"""An index of classes of ImageNet, whose names and concepts words can mean."""

from __future__ import annotations

import pytest

import raysel
from raysel.query import SearchableIndex
from tests.store.synthetic import Synthetic, build

CLASSES = {
    "n02119789": "kit fox",
    "n02119022": "red fox",
    "n07747607": "orange",
    "n02085620": "Chihuahua",
    "n02099601": "golden retriever",
    "n02012849": "crane",
    "n03126707": "crane",
}
"""Label -> name."""


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return build(tmp_path_factory.mktemp("index"), seed=5, classes=CLASSES)


@pytest.fixture(scope="package")
def index(made: Synthetic) -> SearchableIndex:
    return raysel.open(made.folder.path)
