"""What a person types."""

from __future__ import annotations

import sys
import traceback

import typer

from raysel.cli.bench import bench
from raysel.cli.demo import demo
from raysel.cli.find import find
from raysel.cli.index import index
from raysel.cli.layers import layers
from raysel.cli.plan import plan
from raysel.cli.show import show
from raysel.cli.verify import verify
from raysel.errors import RayselError

app = typer.Typer(
    name="raysel",
    help="What is every neuron of a trained convolutional network selective to?",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (index, plan, layers, find, show, verify, demo):
    app.command()(command)
app.add_typer(bench, name="bench")

_INTERRUPTED = 130
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a command line that it cannot read; it exports no name for it."""


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="On a fault, show where in the program it arose."),
) -> None:
    """Options of every command; `main` reads them."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a defect, 2 something that the user can mend, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    typed = [each for each in arguments if each != "--debug"] or ["--help"]
    try:
        status = app(typed, prog_name="raysel", standalone_mode=False) or 0
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except (RayselError, _UsageError) as error:
        if debug:
            traceback.print_exc()
        print(f"raysel: {_line(error)}", file=sys.stderr)
        sys.exit(2)
    if status == _INTERRUPTED:
        print("raysel: interrupted", file=sys.stderr)
    sys.exit(status)


def _line(error: Exception) -> str:
    """The fault in one line, whatever text of others stands in it."""
    told = str(error)
    if isinstance(error, _UsageError):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "raysel"
        message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        told = f"{message[:1].lower()}{message[1:]} (see {command} --help)"
    return " ".join(told.split())
