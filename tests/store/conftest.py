"""The object store and folders, for the tests of this room."""

from __future__ import annotations

import uuid

import pytest

from raysel.files import Folder
from tests.object_store import BUCKET, object_store, s3

__all__ = ["object_store", "s3"]


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path) -> Folder:
    if request.param == "local":
        return Folder.at(tmp_path / "index")
    request.getfixturevalue("s3")
    return Folder.at(f"s3://{BUCKET}/{uuid.uuid4().hex}")


@pytest.fixture
def local_folder(tmp_path) -> Folder:
    return Folder.at(tmp_path / "index")
