"""Which output of a classifier stands for which label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from raysel.images.labels.class_facts import class_facts, imagenet1k
from raysel.images.labels.hierarchy import plain


def output_numbers(labels: pa.Table, outputs: int, names: Sequence[str] = ()) -> dict[str, int]:
    """The number of the classifier's output for each label; labels without one are left out.

    If the outputs have names, a label is matched by its WordNet id, its text or its name. If they have none, or are the
    1000 classes of ImageNet-1k in their order, a class of ImageNet-1k is its index there, and another label must be the
    number itself.

    Args:
        labels: what the labels mean, schema `CLASS_FACTS`.
        outputs: how many there are.
        names: names of the outputs, in their order; may be empty.
    """
    rows = labels.to_pylist()
    if names and not _are_imagenet(names):
        return _by_name(rows, names)
    found = {row["label"]: int(row["label"]) for row in rows if _is_below(row["label"], outputs)}
    wnids = imagenet1k().wnids
    if outputs == len(wnids):
        index = {wnid: number for number, wnid in enumerate(wnids)}
        found |= {row["label"]: index[row["wnid"]] for row in rows if row["wnid"] in index}
    return found


def _are_imagenet(names: Sequence[str]) -> bool:
    """Whether outputs are ImageNet-1k's, as far as their names are known: it has two classes that are called crane."""
    own, found = imagenet1k().wnids, class_facts(names)["wnid"].to_pylist()
    known = [pair for pair in zip(found, own, strict=False) if pair[0]]
    return len(names) == len(own) and len(known) > len(own) / 2 and all(one == other for one, other in known)


def _is_below(label: str, outputs: int) -> bool:
    return label.isascii() and label.isdigit() and int(label) < outputs


def _by_name(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, int]:
    """By wnid, else by text. What several outputs are called stands for none of them."""
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for number, (name, wnid) in enumerate(zip(names, class_facts(names)["wnid"].to_pylist(), strict=True)):
        for key in (wnid, plain(name)):
            numbers[key or ""].add(number)
    found: dict[str, int] = {}
    for row in rows:
        for key in (row["wnid"], plain(row["label"]), plain(row["name"] or "")):
            if key and len(numbers[key]) == 1:
                found.setdefault(row["label"], *numbers[key])
    return found
