"""How many bad images a run bears."""

from __future__ import annotations

from collections import Counter

from raysel.errors import RayselError
from raysel.images import ImagesList
from raysel.pipeline.scan.state import RunningState

_A_FEW = 10
"""Bad images that any run bears: a share of few images is less than one."""


def check_bad_images(state: RunningState, images: ImagesList, share: float) -> None:
    """Go on with the bad images that are known, those of the list and those of the scan.

    Args:
        state: of the scan so far.
        images: that are scanned.
        share: of all images that may be bad; a few may in any case, unless it is zero.

    Raises:
        RayselError: there are more.
    """
    bad = len(state.quarantine) + len(images.faults)
    bearable = max(_A_FEW, int(share * len(images.images))) if share > 0 else 0
    if bad > bearable:
        reasons = Counter([*state.quarantine.values(), *images.faults["reason"].to_pylist()])
        told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
        raise RayselError(
            f"{bad} bad images, the run bears {bearable} of {len(images.images):,} ({told}): "
            "mend them, or raise --max-bad"
        )
