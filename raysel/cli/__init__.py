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

from raysel.errors import RayselError

_COMMANDS = {
    "index": """Index what every neuron of a network is selective to.

Runs the network once over all images, on Ray, and writes for each neuron its best images, the crops that it saw in
them, its feature and its selectivity. The same command again computes nothing that is already there.""",
    "derive": """Make an index again with other options, from its rankings.

Computes features and indexes anew without a scan, in seconds, and gives what raysel index with these options would
give. Options that are not given stay as they were. Only the images are read again; the network is needed only for
--interventions and if --receptive-field effective is new.""",
    "plan": """List the images of a source before a run.

Reads tar headers, Parquet footers and folder trees in parallel on Ray, but no image. A source that did not change is
not listed again.""",
    "layers": """List the layers of a network and their receptive fields.

Channels, map size, receptive field (size, stride, offset) and where each layer is read, in pixels of the network's
input. A receptive field of stride 0 is the whole input. Without --weights the network is untrained: its receptive
fields do not depend on them.""",
    "find": """List neurons of an index by what they are selective to.

By words (raysel find INDEX red mushroom), by a condition (--where "color_selectivity > 0.5 and layer_depth >= 3"), or
both.""",
    "similar": "List the neurons of an index that are most similar to one of them.",
    "explain": """List the neurons that an image activates most.

For each of them where in the image, how much of its highest activation, and what it is selective to. An image of the
index is looked up in the rankings; for another file the network is run.""",
    "diff": """Compare two indexes, neuron by neuron.

Of the same network at two checkpoints, or with other settings: what changed in every index, and how many of the
neuron's images are the same.""",
    "export": """Write an index in the form of another tool.

--atlas writes one Parquet file with a row per neuron: its feature as a picture, its numbers, its nearest neighbors and
a place on a plane. embedding-atlas shows it, and so do the tools around Hugging Face datasets.""",
    "show": "Show one neuron: its numbers, its classes and a picture.",
    "report": """Draw the paper's figures for an index, on one page.

Writes index.html, which needs no other file and no connection, and each figure as PNG, as SVG and its data as CSV.
Needs pip install 'raysel[report]'.""",
    "serve": """Explore indexes in a browser.

Serves pages about the layers and neurons of one or several indexes, which only read, on this machine: network, plane,
gallery, neurons, comparison, and a JSON API. Needs pip install 'raysel[explorer]'.""",
    "site": """Write the explorer of an index as a static site.

The same pages in a folder that a bucket or any web server can serve, without a server of its own.""",
    "watch": """Index the checkpoints of a training run as they appear.

Each checkpoint that is new and complete gets an index of its own, one after another. Copies of the same weights are
skipped, and one that fails is tried again later. It may be killed, repeated and run twice: each checkpoint is indexed
once. Exit status 0 if nothing has failed, else 1.""",
    "evolution": """Show how selectivity changes from checkpoint to checkpoint.

For each layer, how many neurons are selective and how far their top images overlap with those of the checkpoint before
and of the last. With --out also a page with figures, neuron features as they form, and the numbers of every neuron.
Needs pip install 'raysel[report]'.""",
    "grayscale-error": """Measure how much a classifier needs color.

Runs the network with its output layer over the images in color and in gray (luma), on Ray, and gives the top-1 and
top-5 error of both. Labels must be classes of the network: their names, WordNet ids or numbers.""",
    "verify": """Check an index, and run its network again over a sample.

Compares sizes and checksums of the index's files with its manifest. Then runs the network over the first images of
some neurons: activations and positions must be as recorded. Where a crop is all that the position sees, the crop alone
on the mean image must give the same activation, too. Exit status 0 if all is as recorded, else 1 with a line per
problem.""",
    "demo": """Make and show a first index from packages alone.

EfficientNet-Lite0 over 1,512 crops of photographs, on a local Ray: about two minutes on two cores. A second call
computes nothing.""",
    "submit": """Run raysel index as a job of a Ray cluster.

Submits the run that a file describes, shows its progress until it ends, and submits it again if it died: the run
resumes. Exit status is that of the job.""",
    "status": """Show how far the run of an index is.

Reads the index's folder only, which may be in a bucket, and writes nothing: stage, coverage, rate, time left, and which
process holds the lock.""",
    "doctor": """Check that machines are fit for a run.

Versions, GPUs, shared memory, object store, disk, PATH, clock, storage and authentication: each line is ok or says what
to do. Exit status 0 if all is ok, else 1.""",
    "config": "Print an example of a configuration file, or check one.",
}
_ELSEWHERE = {"derive": "index"}
"""Command -> its module, if that does not have its name."""
_INTERRUPTED, _TERMINATED = 130, 143


class _TerminatedError(BaseException):
    """SIGTERM has come. Not an `Exception`: what handles faults does not handle it."""


def _default_shown(value: object) -> str | None:
    return None if value in (None, False, ()) else str(value)


app = App(
    name="raysel",
    help="What is every neuron of a trained convolutional network selective to?",
    help_format="plaintext",
    help_epilogue="Every command takes --debug, which shows the stack trace of an error.",
    default_parameter=Parameter(negative=(), show_default=_default_shown),
    group_arguments=Group("Arguments", sort_key=-2),
    group_parameters=Group("Options", sort_key=-1),
    suppress_keyboard_interrupt=False,
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)
for place, (name, text) in enumerate(_COMMANDS.items()):
    module, function = _ELSEWHERE.get(name, name).replace("-", "_"), name.replace("-", "_")
    app.command(f"raysel.cli.{module}:{function}", name=name, help=text, help_format="markdown", sort_key=place)
bench = App(name="bench", help="Measure this machine, and plan a run.", help_format="markdown")
bench.command(
    "raysel.cli.bench:scan",
    name="scan",
    help="""Compare a scan with what the machine allows, and with other ways to do the same.

Contenders take turns over the same images, each in processes of its own, and rates are medians over the rounds. steady
leaves out the start of a run. bound is cores / (decode + forward), forward a DataLoader with a bare forward, tuned over
batch, threads and workers, loop one with hooks, maximum and top-k as written by hand; semanticlens and zennit-crp need
pip install 'raysel[peers]'. exact is the share of neurons with the same 100 images as raysel's.""",
)
bench.command("raysel.cli.bench:decode", name="decode", help="Measure how fast a core decodes images, by format.")
bench.command("raysel.cli.bench:derive", name="derive", help="Measure what a crop costs, in decodes of an image.")
bench.command("raysel.cli.bench:start", name="start", help="Measure the fixed cost of a run and of commands.")
bench.command("raysel.cli.bench:merge", name="merge", help="Measure what the driver of a scan can handle.")
bench.command(
    "raysel.cli.bench:plan",
    name="plan",
    help="""Plan a run over many images: hours and machine hours.

From the rates that the run of an index has measured, such as one over 5,000 of the images on one machine.""",
)
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
