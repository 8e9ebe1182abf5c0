"""The labels of a run's images and what they mean: read from files first, so that a fault is found before any work."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from raysel.config import RunConfig
from raysel.images import (
    Hierarchy,
    ImagesList,
    class_facts,
    imagenet1k,
    read_class_list,
    read_hierarchy,
    read_labels,
)
from raysel.pipeline.derive.concepts import concepts_above
from raysel.pipeline.progress import Reporter
from raysel.selectivity import Concepts


@dataclass(frozen=True)
class Labeling:
    """What the files say that a configuration names."""

    labels: pa.Table | None
    """key, label; None: the images keep the labels that they have."""
    classes: pa.Table | None
    own_hierarchy: Hierarchy | None
    cut: frozenset[str] | None
    """Concepts at which the hierarchy is cut."""

    @classmethod
    def read(cls, config: RunConfig) -> Labeling:
        """Read the files of a configuration.

        Raises:
            RayselError: a file cannot be read, or the hierarchy has no such concept.
        """
        source, derive = config.source, config.derive
        labels = None
        if source.labels:
            labels = read_labels(source.labels, source.label_key, source.label_column, source.label_map)
        classes = read_class_list(source.classes) if source.classes else None
        own = read_hierarchy(derive.hierarchy) if derive.hierarchy else None
        cut = (own or imagenet1k().hierarchy).cut(derive.concepts) if derive.concepts else None
        return cls(labels, classes, own, cut)

    def label(self, images: ImagesList, reporter: Reporter) -> ImagesList:
        """The images with the labels of the table, if there is one."""
        if self.labels is None:
            return images
        images = images.with_labels(self.labels)
        if images.labeled < len(images.images):
            reporter.say(f"labels: {images.labeled:,} of {len(images.images):,} images are in the table")
        return images

    def meaning(self, images: ImagesList) -> tuple[pa.Table, Concepts]:
        """(a row per label of the images, `raysel.images.CLASS_FACTS`; what is above them in the hierarchy)."""
        classes = class_facts(images.classes, self.classes, self.own_hierarchy)
        return classes, concepts_above(classes, self.own_hierarchy or imagenet1k().hierarchy, self.cut)
