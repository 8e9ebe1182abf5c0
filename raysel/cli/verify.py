"""``raysel verify``: does an index hold what it says?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from raysel.cli import arguments


def verify(
    index: arguments.IndexPlace,
    neurons: Annotated[
        int, typer.Option(help="Neurons whose images are run again, chosen at random.", metavar="K", min=1)
    ] = 64,
    top: Annotated[int, typer.Option(help="Images of each, from the first of its ranking on.", metavar="K", min=1)] = 4,
    seed: Annotated[int, typer.Option(help="Of the choice of neurons.", metavar="S", min=0)] = 0,
    images: Annotated[str | None, typer.Option(help="Where the images are now, if moved.", metavar="SOURCE")] = None,
    weights: Annotated[str | None, typer.Option(help="Where the weights are now, if moved.", metavar="FILE")] = None,
    as_json: arguments.AsJson = False,
) -> None:
    """Check an index against its manifest, and by a new run.

    Compares sizes and checksums of its files, then runs the network again over the first images of some neurons: the
    recorded activations and positions must come out again, the activations also from the crop alone on the mean image
    where the crop is all that the position sees. Exit 0 if they do, 1 with a line for each that does not.
    """
    from raysel.pipeline.verify import Sample
    from raysel.pipeline.verify import verify as verify_index

    checked = verify_index(index, Sample(neurons, top, seed), images, weights)
    if as_json:
        print(
            json.dumps(
                {
                    "index": index,
                    "files": checked.files,
                    "runs": checked.runs,
                    "crops": checked.crops,
                    "problems": checked.problems,
                }
            )
        )
    else:
        for problem in checked.problems:
            print(problem)
        count = len(checked.problems)
        verdict = f"{count} problem{'s' if count > 1 else ''}" if count else "all is as recorded"
        print(
            f"{checked.files} files, {checked.runs} activations run again, {checked.crops} of them also from "
            f"their crop alone: {verdict}"
        )
    if checked.problems:
        raise typer.Exit(1)
