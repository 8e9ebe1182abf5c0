"""Shards in, pixels out: the images list, slices, reading by byte range, and decoding."""

from raysel.images.class_lists import read_class_list
from raysel.images.classes import CLASS_FACTS, class_facts
from raysel.images.decode import DECODER, Decoded, decode
from raysel.images.files import locate, put_file, reach, s3_client, shown_uri
from raysel.images.geometry import Placement
from raysel.images.images_list import ImagesList
from raysel.images.labels import read_labels
from raysel.images.opening import open_source
from raysel.images.shard_files import select_shards
from raysel.images.slices import Slice, slices
from raysel.images.source import Shard, Source, Walked
from raysel.images.subset import subset

__all__ = [
    "CLASS_FACTS",
    "DECODER",
    "Decoded",
    "ImagesList",
    "Placement",
    "Shard",
    "Slice",
    "Source",
    "Walked",
    "class_facts",
    "decode",
    "locate",
    "open_source",
    "put_file",
    "reach",
    "read_class_list",
    "read_labels",
    "s3_client",
    "select_shards",
    "shown_uri",
    "slices",
    "subset",
]
