"""How many bad images a run accepts."""

from __future__ import annotations

from collections import Counter

from raysel.errors import RayselError
from raysel.images import ImagesList
from raysel.pipeline.scan.state import RunningState

_ALWAYS_ALLOWED = 10
"""Bad images that every run accepts: a share of few images is less than one."""


def allowed_bad(images: int, share: float) -> int:
    """How many of so many images may be bad. Unless the share is zero, a few may be bad in any case."""
    return max(_ALWAYS_ALLOWED, int(share * images)) if share > 0 else 0


def check_bad_images(state: RunningState, images: ImagesList, share: float) -> None:
    """Fail if too many images are bad, those of the images list and those of the scan together.

    Args:
        state: the scan so far.
        images: the images list of the scan.
        share: the share of all images that may be bad; see `allowed_bad`.

    Raises:
        RayselError: more images are bad.
    """
    bad, allowed = len(state.quarantine) + len(images.faults), allowed_bad(len(images.images), share)
    if bad > allowed:
        counts = Counter([*state.quarantine.values(), *images.faults["reason"].to_pylist()])
        reasons = "; ".join(f"{count} x {reason}" for reason, count in counts.most_common(3))
        raise RayselError(
            f"{bad} bad images of {len(images.images):,}, at most {allowed} are allowed ({reasons}): "
            "fix them or raise --max-bad"
        )
