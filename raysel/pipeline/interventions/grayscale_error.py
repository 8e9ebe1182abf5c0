"""How much of a classifier's accuracy needs color (paper, section 4.2): its error over images, and over gray ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.images import ImagesList, open_source, output_numbers, subset
from raysel.network import Classifier, with_absolute_paths
from raysel.pipeline.cluster import connected
from raysel.pipeline.cluster.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.derive.labeling import Labeling
from raysel.pipeline.interventions.classifier_actor import ClassifierActor
from raysel.pipeline.plan import images_list
from raysel.pipeline.progress import Reporter
from raysel.pipeline.scan.actor_stream import ActorStream, despite_lost_machines
from raysel.pipeline.scan.bad_images import allowed_bad
from raysel.pipeline.scan.layout import ScanLayout, scan_calls

TOP = (1, 5)
_WAITING, _BAD = -2, -1


@dataclass(frozen=True)
class GrayscaleError:
    """The result over all images that can be read and whose label is a class of the network."""

    images: int
    """How many there are."""
    without_class: int
    """Images without a label, or with one that no output of the network stands for."""
    bad: int
    """Images that cannot be read."""
    color: dict[str, float]
    """`top1_error` and `top5_error`: share of the images whose class is not among the k highest scores."""
    gray: dict[str, float]
    """The same over the luma of the images."""


def grayscale_error(config: RunConfig, reporter: Reporter) -> GrayscaleError:
    """Run a classifier over images in color and in gray, on Ray.

    Args:
        config: `network`, `source`, `scan` (the actors) and `cluster` are used.
        reporter: shows the stages.

    Raises:
        RayselError: a fault that the user can correct.
    """
    options = config.source
    source = open_source(options.images, options.kind, options.uri_column, options.label_column)
    labeling = Labeling.read(config)
    classifier = Classifier(config.network)
    with ExitStack() as stack:
        cluster = stack.enter_context(connected(config.cluster))
        planned, _ = images_list(source, options.shards, None, lambda: cluster, reporter)
        images = labeling.label(subset(planned, options.limit, options.sample), reporter)
        classes = _classes(images, labeling.meaning(images)[0], classifier)
        layout = ScanLayout.of(config.scan, cluster, scan_calls(config.scan, len(images.images)))
        settings = {
            "config": with_absolute_paths(config.network),
            "weights_digest": classifier.weights_digest,
            "batch": layout.batch,
            "device": layout.device,
            "classes": ray.put(classes),
        }
        stream = ActorStream(source, images, classifier.preprocessing, config.scan, layout, cluster, reporter.say)
        return _counted(classes, _ranks(stream, settings, classes, reporter), options.max_bad)


def _classes(images: ImagesList, labels: pa.Table, classifier: Classifier) -> NDArray[np.int64]:
    """int64 [images]: the output that stands for each image's label; -1 if there is none."""
    number_of = output_numbers(labels, classifier.outputs, classifier.names)
    if not number_of:
        example = f"labels such as {images.classes[0]!r}" if images.classes else "no labels"
        raise RayselError(
            f"the images have {example}, which are not classes of the network's {classifier.outputs:,} outputs: give "
            "their numbers with --labels, or with --label-map"
        )
    numbers = np.array([*(number_of.get(label, -1) for label in images.classes), -1])
    return numbers[images.class_numbers]


def _ranks(
    stream: ActorStream, settings: dict[str, Any], classes: NDArray[np.int64], reporter: Reporter
) -> NDArray[np.int64]:
    """int64 [images, 2]: how many classes have a higher score than the image's own, in color and in gray.

    By image, so that a call that Ray makes again counts once.
    """
    ranks = np.full((len(classes), 2), _WAITING)
    ranks[classes < 0] = _BAD

    def tables() -> Iterator[pa.Table]:
        missing = np.flatnonzero(ranks[:, 0] == _WAITING)
        return stream.tables(stream.through(missing, ClassifierActor, **settings))

    total = int((classes >= 0).sum())
    with reporter.stage("classify", "images", total) as stage, as_raysel_error_from_worker():
        for table in despite_lost_machines(tables, stream.say):
            ids = table["id"].to_numpy()
            stage.advance(int((ranks[ids, 0] == _WAITING).sum()))
            ranks[ids] = np.stack([table["color"].to_numpy(), table["gray"].to_numpy()], axis=1)
    if lost := int((ranks == _WAITING).any(axis=1).sum()):
        raise RayselError(f"{lost} listed images were not delivered: check that the source can be read and run again")
    return ranks


def _counted(classes: NDArray[np.int64], ranks: NDArray[np.int64], max_bad: float) -> GrayscaleError:
    known = classes >= 0
    good = ranks[known & (ranks[:, 0] != _BAD)]
    bad = int(known.sum()) - len(good)
    if bad > allowed_bad(int(known.sum()), max_bad):
        raise RayselError(f"{bad:,} of {known.sum():,} images cannot be read: repair them, or raise --max-bad")
    color, gray = (
        {f"top{k}_error": int((good[:, column] >= k).sum()) / max(len(good), 1) for k in TOP} for column in (0, 1)
    )
    return GrayscaleError(len(good), int((~known).sum()), bad, color, gray)
