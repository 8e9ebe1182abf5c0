"""The commands of ``raysel --help``, in groups. A group is a folder, and a command the function of its name there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Commands:
    """A group of commands."""

    folder: str
    """The folder with their modules."""
    title: str
    helps: dict[str, str]
    """Command -> its help, in order."""


GROUPS = (
    Commands(
        "making",
        "Make and check indexes",
        {
            "index": """Index what every neuron of a network is selective to.

Runs the network once over all images, on Ray, and writes for each neuron its best images, the crops that it saw in
them, its feature and its selectivity. The same command again computes nothing that is already there.""",
            "derive": """Rebuild an index from its rankings with other options.

Recomputes features and selectivity without a scan, in seconds. The result is what raysel index with these options would
give. Options that are not given stay as they were. Only the images are read again; the network is needed only for
--interventions and if --receptive-field effective is new.""",
            "plan": """List the images of a source before a run.

Reads tar headers, Parquet footers and folder trees in parallel on Ray, but no image. A source that did not change is
not listed again.""",
            "layers": """List the layers of a network and their receptive fields.

Channels, map size, receptive field (size, stride, offset) and where each layer is read, in pixels of the network's
input. A receptive field of stride 0 is the whole input. Without --weights the network is untrained: its receptive
fields do not depend on them.""",
            "watch": """Index the checkpoints of a training run as they appear.

Each checkpoint that is new and complete gets an index of its own, one after another. Copies of the same weights are
skipped, and one that fails is tried again later. A watcher can safely be killed, restarted, or run twice at once: each
checkpoint is indexed once. Exit status 0 if nothing has failed, else 1.""",
            "verify": """Check an index, and run its network again over a sample.

Compares sizes and checksums of the index's files with its manifest. Then runs the network over the first images of
some neurons: activations and positions must be as recorded. Where a crop is all that the position sees, the crop alone
on the mean image must give the same activation, too. Exit status 0 if all is as recorded, else 1 with a line per
problem.""",
            "grayscale-error": """Measure how much a classifier needs color.

Runs the network with its output layer over the images in color and in gray (luma), on Ray, and gives the top-1 and
top-5 error of both. Labels must be classes of the network: their names, WordNet ids or numbers.""",
            "config": "Print an example of a configuration file, or check one.",
            "demo": """Build and show a small index; needs no data of your own.

EfficientNet-Lite0 over 1,512 crops of photographs, on a local Ray: about two minutes on two cores. A second call
computes nothing.""",
        },
    ),
    Commands(
        "searching",
        "Search an index",
        {
            "find": """List neurons of an index by what they are selective to.

By words (raysel find INDEX red mushroom), by a condition (--where "color_selectivity > 0.5 and layer_depth >= 3"), or
both.""",
            "similar": "List the neurons of an index that are most similar to one of them.",
            "explain": """List the neurons that an image activates most.

For each neuron: how close it comes to its highest activation, where in the image (x0, y0, x1, y1), and what it is
selective to. An image of the index is looked up in the rankings; for another file the network is run.""",
            "diff": """Compare two indexes, neuron by neuron.

Of the same network at two checkpoints, or with other settings: what changed in every index, and how many of the
neuron's images are the same.""",
            "show": "Show one neuron: its numbers, its classes and a picture.",
            "export": """Write an index in the form of another tool.

--atlas writes one Parquet file with a row per neuron: its feature as a picture, its numbers, its nearest neighbors and
a place on a plane. embedding-atlas shows it, and so do the tools around Hugging Face datasets.""",
        },
    ),
    Commands(
        "viewing",
        "Look at an index",
        {
            "report": """Draw the paper's figures for an index, on one page.

Writes index.html, which needs no other file and no connection, and each figure as PNG, as SVG and its data as CSV.
Needs pip install 'raysel[report]'.""",
            "serve": """Explore indexes in a browser.

Serves read-only pages on this machine about the layers and neurons of one or more indexes: network, plane, gallery,
neurons, comparison, and a JSON API. Needs pip install 'raysel[explorer]'.""",
            "site": """Write the explorer of an index as a static site.

The same pages in a folder that a bucket or any web server can serve, without a server of its own.""",
            "evolution": """Show how selectivity changes from checkpoint to checkpoint.

For each layer, how many neurons are selective and how far their top images overlap with those of the previous
checkpoint and of the final one. With --out also a page with figures, neuron features as they form, and the numbers of
every neuron. Needs pip install 'raysel[report]'.""",
        },
    ),
    Commands(
        "operating",
        "Work with machines",
        {
            "submit": """Run raysel index as a job of a Ray cluster.

Submits the run that a file describes, shows its progress until it ends, and submits it again if it died: the run
resumes. Exit status is that of the job.""",
            "status": """Show the progress of the run that makes an index.

Reads the index's folder only, which may be in a bucket, and writes nothing: stage, coverage, rate, time left, and which
process holds the lock.""",
            "doctor": """Check that machines are fit for a run.

Versions, GPUs, shared memory, object store, disk, PATH, clock, storage and authentication: each line is ok or says what
to do. Exit status 0 if all is ok, else 1.""",
        },
    ),
)
BENCH = {
    "scan": """Compare a scan with what the machine allows, and with other ways to do the same.

Contenders take turns over the same images, each in processes of its own, and rates are medians over the rounds. steady
leaves out the start of a run. bound is cores / (decode + forward). forward is a DataLoader with a bare forward pass,
tuned over batch, threads and workers. loop is a hand-written DataLoader loop with hooks, maximum and top-k.
semanticlens and zennit-crp need pip install 'raysel[peers]'. exact is the share of neurons with the same 100 images as
raysel's.""",
    "decode": "Measure how fast a core decodes images, by format.",
    "derive": "Measure what a crop costs, in decodes of an image.",
    "start": "Measure the fixed cost of a run and of commands.",
    "merge": "Measure what the driver of a scan can handle.",
    "plan": """Plan a run over many images: hours and machine hours.

From the rates that the run of an index has measured, such as one over 5,000 of the images on one machine.""",
}
"""Command below ``raysel bench`` -> its help, in order."""
ELSEWHERE = {"derive": "index"}
"""Command -> its module, if that does not have its name."""
