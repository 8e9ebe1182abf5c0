"""``raysel explain``: the neurons that an image activates most."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import FOR_PEOPLE, Form, IndexPlace, LayerGlob, Limit, PictureFile


def explain(
    index: IndexPlace,
    image: Annotated[str, Parameter(name="IMAGE")],
    /,
    *,
    layer: LayerGlob = None,
    limit: Limit = 20,
    out: PictureFile = None,
    form: Form = FOR_PEOPLE,
    images: Annotated[str | None, Parameter(metavar="PATH")] = None,
    weights: Annotated[str | None, Parameter(metavar="PATH")] = None,
) -> None:
    """List the neurons that an image activates most, relative to their own maximum.

    Args:
        image: Id or key of an image of the index, else an image file, over which the network is run.
        out: Write a picture: the image with the boxes that the first neurons see, beside their features.
        images: Where the images of the index are now, if they were moved.
        weights: Where the weights are now, if they were moved.
    """
    from raysel.cli.neurons import print_neurons
    from raysel.cli.picture_file import check_picture_file, write_picture
    from raysel.query import open_searchable

    check_picture_file(out)
    found = open_searchable(index).explain(image, layer=layer, limit=limit, images=images, weights=weights)
    if out is not None:
        from raysel.report import draw_explanation

        write_picture(draw_explanation(found), out)
    print_neurons(found, form, limit=limit, none=f"no neuron of these layers is known to respond to {found.image}")
