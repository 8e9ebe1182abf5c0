"""What the tests of this room share: the object store, and hypothesis without a stopwatch (machines are shared)."""

from hypothesis import settings

from tests.object_store import object_store, s3

__all__ = ["object_store", "s3"]

settings.register_profile("raysel", deadline=None)
settings.load_profile("raysel")
