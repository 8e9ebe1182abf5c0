"""The command line. Commands are imported when they are called, so that ``raysel --help`` answers at once."""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import sys
import traceback

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.exceptions import UnusedCliTokensError

from raysel.cli.commands import BENCH, ELSEWHERE, GROUPS
from raysel.errors import RayselError

_INTERRUPTED, _TERMINATED = 130, 143


class _TerminatedError(BaseException):
    """SIGTERM has come. Not an `Exception`: what handles faults does not handle it."""


def _default_shown(value: object) -> str | None:
    if value in (None, False, ()):
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


app = App(
    name="raysel",
    help="What is every neuron of a trained convolutional network selective to?",
    help_format="plaintext",
    help_epilogue="Every command takes --debug, which shows the stack trace of an error.",
    default_parameter=Parameter(negative=(), show_default=_default_shown),
    group_arguments=Group("Arguments", sort_key=-2),
    group_parameters=Group("Options", sort_key=-1),
    group_commands=Group("Help", sort_key=len(GROUPS)),
    suppress_keyboard_interrupt=False,
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)
for place, commands in enumerate(GROUPS):
    group = Group(commands.title, sort_key=place)
    for number, (name, text) in enumerate(commands.helps.items()):
        function = name.replace("-", "_")
        target = f"raysel.cli.{commands.folder}.{ELSEWHERE.get(name, function)}:{function}"
        app.command(target, name=name, help=text, help_format="markdown", group=group, sort_key=number)
bench = App(
    name="bench",
    help="Measure this machine, and plan a run.",
    help_format="markdown",
    group=group,  # the last one
    group_commands=Group("Commands"),
)
for number, (name, text) in enumerate(BENCH.items()):
    bench.command(f"raysel.cli.operating.bench:{name}", name=name, help=text, sort_key=number)
app.command(bench)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 success, 1 a defect, 2 an error that the user can correct, 130 interrupted,
    143 terminated."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    signal.signal(signal.SIGTERM, _terminate)
    # Python would look for garbage among torch's objects again and again while it imports them, and for a second at the
    # end.
    gc.set_threshold(20_000)
    atexit.register(gc.freeze)
    try:
        status = app([each for each in arguments if each != "--debug"]) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        _hush_half_made_objects()
        print("raysel: interrupted", file=sys.stderr)
        status = _INTERRUPTED
    except _TerminatedError:
        _hush_half_made_objects()
        print("raysel: terminated", file=sys.stderr)
        status = _TERMINATED
    except BrokenPipeError:  # the reader of stdout, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except (RayselError, CycloptsError) as error:
        if debug:
            traceback.print_exc()
        print(f"raysel: {_without_secrets(' '.join(_message(error).split()))}", file=sys.stderr)
        status = 2
    sys.exit(status)


def _hush_half_made_objects() -> None:
    """Print no errors of ``__del__``: an object of Ray that a signal has met in its ``__init__`` fails there."""
    sys.unraisablehook = lambda _: None


def _terminate(*_: object) -> None:
    """End as Ctrl-C does: locks are released, and Ray ends with its processes."""
    raise _TerminatedError


def _without_secrets(line: str) -> str:
    """The line with every URI in it as `redact_uri` shows it."""
    from raysel.files.paths import redact_uri

    return re.sub(r"\S+://\S+", lambda uri: redact_uri(uri[0]), line)


def _message(error: RayselError | CycloptsError) -> str:
    if isinstance(error, RayselError):
        return str(error)
    error.verbose = False
    text = re.sub(r"(?<!\.)\.$", "", str(error))  # keeps an ellipsis
    if isinstance(error, UnusedCliTokensError):
        text = f"unexpected argument {' '.join(error.unused_tokens or ())}"
    elif (argument := error.argument) and type(error.__cause__).__module__.startswith("pydantic"):
        from raysel.cli.toml import problem

        text = problem(argument.tokens[0].keyword or argument.name, error.__cause__)  # type: ignore[arg-type]
    return f"{text[:1].lower()}{text[1:]} (see {' '.join(['raysel', *(error.command_chain or ()), '--help'])})"
