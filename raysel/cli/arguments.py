"""Arguments that several commands take, each declared once."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

IndexPlace = Annotated[str, Parameter(name="INDEX", help="Path or URI of the index.")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON on stdout; progress goes to stderr.")]
DashboardAddress = Annotated[
    str | None,
    Parameter(
        name="--address",
        metavar="URL",
        help="Address of the cluster's dashboard, such as http://127.0.0.1:8265. By default $RAY_API_SERVER_ADDRESS.",
    ),
]
