"""``raysel verify``: whether an index holds what its manifest says."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from raysel.cli.arguments import AsJson, IndexPlace


def verify(
    index: IndexPlace,
    /,
    *,
    neurons: PositiveInt = 64,
    top: PositiveInt = 4,
    seed: NonNegativeInt = 0,
    images: Annotated[str | None, Parameter(metavar="PATH")] = None,
    weights: Annotated[str | None, Parameter(metavar="PATH")] = None,
    as_json: AsJson = False,
) -> int:
    """Verify an index. Returns 1 if there is a problem.

    Args:
        neurons: Neurons whose images are run again, chosen at random.
        top: Images of each neuron, from the first of its ranking on.
        seed: Seed of the choice of neurons.
        images: Where the images are now, if they were moved.
        weights: Where the weights are now, if they were moved.
    """
    from raysel.pipeline.verify import Sample
    from raysel.pipeline.verify import verify as verify_index

    checked = verify_index(index, Sample(neurons, top, seed), images, weights)
    if as_json:
        counts = {"files": checked.files, "runs": checked.runs, "crops": checked.crops}
        from raysel.files import redact_uri

        print(json.dumps({"index": redact_uri(index), **counts, "problems": checked.problems}))
    else:
        for problem in checked.problems:
            print(problem)
        count = len(checked.problems)
        verdict = f"{count} problem{'s' if count > 1 else ''}" if count else "all as recorded"
        print(
            f"{checked.files} files, {checked.runs} activations run again, {checked.crops} of them also from "
            f"their crop alone: {verdict}"
        )
    return 1 if checked.problems else 0
