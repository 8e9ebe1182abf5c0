"""What routes share: the links of a request, questions that cannot be answered, and responses that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response

from raysel.errors import RayselError
from raysel.explorer.catalog import Served
from raysel.explorer.links import ServerLinks
from raysel.store import Neuron, UnknownNeuronError, neuron_address

WEEK_S = 7 * 24 * 3600


class BadQuestionError(RayselError):
    """The request asks for something that cannot be answered: the reason is for the visitor."""


@contextmanager
def answering() -> Iterator[None]:
    """Errors in this block are those of the question."""
    try:
        yield
    except UnknownNeuronError:
        raise
    except RayselError as error:
        raise BadQuestionError(str(error)) from error


def links_of(request: Request, served: Served) -> ServerLinks:
    """The links of a page about one index."""
    return ServerLinks(request.scope.get("root_path", ""), served.name, served.version)


def neuron_of(served: Served, address: str) -> Neuron:
    """The neuron of an address in a path.

    Raises:
        UnknownNeuronError: the text is not an address, or there is no such neuron.
    """
    try:
        layer, channel = neuron_address(address)
    except RayselError as error:
        raise UnknownNeuronError(str(error)) from None
    return served.index.neuron(layer, channel)


def kept_by_browsers(content: bytes, media_type: str) -> Response:
    """A response at an address that names the version of the index: it never changes."""
    return Response(content, media_type=media_type, headers={"cache-control": f"private, max-age={WEEK_S}, immutable"})
