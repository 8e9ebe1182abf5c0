"""From a source of images to the pixels that a network sees.

A source is walked once into an images list, which is divided into slices; the bytes of a slice are read by range and
decoded. `sources` has a module per layout of images, `labels` says how they are labeled.
"""

from raysel.images.decode import DECODER, decode
from raysel.images.geometry import Placement, placement
from raysel.images.images_list import ImagesList
from raysel.images.labels.class_facts import CLASS_FACTS, class_facts, imagenet1k
from raysel.images.labels.class_lists import read_class_list
from raysel.images.labels.hierarchy import Hierarchy, class_concepts, read_hierarchy
from raysel.images.labels.label_tables import read_labels
from raysel.images.labels.output_numbers import output_numbers
from raysel.images.slices import GROUP_IMAGES, Slice, slices
from raysel.images.sources.opening import open_source
from raysel.images.sources.shard_files import select_shards
from raysel.images.sources.source import MovedSource, Shard, Source, Walked
from raysel.images.subset import subset

__all__ = [
    "CLASS_FACTS",
    "DECODER",
    "GROUP_IMAGES",
    "Hierarchy",
    "ImagesList",
    "MovedSource",
    "Placement",
    "Shard",
    "Slice",
    "Source",
    "Walked",
    "class_concepts",
    "class_facts",
    "decode",
    "imagenet1k",
    "open_source",
    "output_numbers",
    "placement",
    "read_class_list",
    "read_hierarchy",
    "read_labels",
    "select_shards",
    "slices",
    "subset",
]
