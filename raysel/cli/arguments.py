"""Arguments that several commands take, each declared once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raysel.errors import RayselError

IndexPlace = Annotated[str, Parameter(name="INDEX", help="Path or URI of the index.")]
NeuronAddress = Annotated[
    str, Parameter(name="LAYER:CHANNEL", help="Layer and channel of the neuron, such as features.3:12")
]
LayerGlob = Annotated[str | None, Parameter(metavar="GLOB", help="Only layers that match this glob.")]
Limit = Annotated[int | None, Parameter(help="At most this many neurons.")]
AnyLimit = Annotated[
    int | None,
    Parameter(name="--limit", help="At most this many neurons. By default a table shows 20, and other forms have all."),
]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON on stdout; progress goes to stderr.")]
Where = Annotated[tuple[str, ...], Parameter(metavar="CONDITION", negative="")]
PictureFile = Annotated[Path | None, Parameter(metavar="FILE.png")]
DashboardAddress = Annotated[
    str | None,
    Parameter(
        name="--address",
        metavar="URL",
        help="Address of the cluster's dashboard, such as http://127.0.0.1:8265. By default $RAY_API_SERVER_ADDRESS.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Form:
    """How to print neurons: as a table for people, or in one of three other forms.

    Raises:
        RayselError: two of them are given.
    """

    columns: Annotated[
        str | None,
        Parameter(metavar="COLUMN,...", help="Print these columns only; a part of a column is written color_names.red"),
    ] = None
    json: AsJson = False
    csv: Annotated[bool, Parameter(help="Print CSV with every column.")] = False
    parquet: Annotated[Path | None, Parameter(metavar="FILE", help="Write a Parquet file with every column.")] = None

    def __post_init__(self) -> None:
        given = [f"--{name}" for name in ("json", "csv", "parquet") if getattr(self, name)]
        if len(given) > 1:
            raise RayselError(f"{given[0]} and {given[1]} exclude each other: give one of them")


FOR_PEOPLE = Form()


def check_local(out: Path | None) -> None:
    """Fail if a folder to write to is a URI, which as a path has lost a slash."""
    if ":/" in str(out):
        raise RayselError(f"--out {str(out).replace(':/', '://', 1)} is a URI: give a local folder, and copy it there")


def cannot_write(path: Path, error: OSError) -> RayselError:
    """What to report if a file cannot be written."""
    missing = isinstance(error, FileNotFoundError)
    why = f"the folder {path.parent} does not exist" if missing else error.strerror or error
    return RayselError(f"cannot write {path}: {why}")


def all_of(conditions: Sequence[str]) -> str:
    """Conditions joined by ``and``; empty if there are none. One alone stays as it was typed, for messages about it.

    Raises:
        RayselError: one of them is empty.
    """
    if not all(condition.strip() for condition in conditions):
        raise RayselError('--where is empty: write a condition such as "color_selectivity > 0.5"')
    return conditions[0] if len(conditions) == 1 else " and ".join(f"({condition})" for condition in conditions)
