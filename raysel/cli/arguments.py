"""Options that several commands take, each typed once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    str | None,
    typer.Option(
        help="State dict: .safetensors, .pth, a torchvision weights name, or 'random' for a trial.", metavar="FILE"
    ),
]
NetworkArgs = Annotated[
    str | None, typer.Option(help="Keyword arguments of the factory, as a JSON object.", metavar="JSON")
]
UnsafePickle = Annotated[
    bool | None, typer.Option("--unsafe-pickle", help="Load weights that are a pickle with code in it.")
]
Layers = Annotated[
    list[str] | None,
    typer.Option(help="Only convolutions whose name matches, or modules by name; may be given again.", metavar="GLOB"),
]
Tap = Annotated[str | None, typer.Option(help="Read after the 'activation', or at the 'convolution'.", metavar="WHERE")]
PreprocessingFile = Annotated[
    Path | None, typer.Option(help="TOML: resize, crop, mean, std ..., if not the network's own.", metavar="FILE")
]

Kind = Annotated[
    str | None,
    typer.Option(help="Of the images: folder, tar, parquet or table; by default what is there.", metavar="KIND"),
]
UriColumn = Annotated[
    str | None, typer.Option(help="Of a table of URIs: its column with them ('uri', 'path', ...).", metavar="NAME")
]
Shards = Annotated[
    str | None, typer.Option(help="Only shards whose name matches; of a folder its folders.", metavar="GLOB")
]

IndexPlace = Annotated[str, typer.Argument(help="Folder or URI of the index.", metavar="INDEX")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, its last line if there are more.")]
