"""The object store, for the tests of this room."""

from tests.object_store import object_store, s3

__all__ = ["object_store", "s3"]
