"""Every option of a run, declared once: a frozen dataclass per stage, each field documented below it.

The command line, the TOML file of ``--config`` and its example, the README's table and the fingerprints are generated
from the names, types, defaults, docstrings and marks (`Enters`, `PATH`) of these fields. The docstrings are Markdown.
What a run used is written into its index, so every field is data: text, numbers, tuples.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from raysel.errors import RayselError
from raysel.marks import PATH, Enters

_STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Seconds = Annotated[int, Field(ge=-1)]
"""-1: no limit."""
Times = Annotated[int, Field(ge=-1)]
"""-1: no limit."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SourceConfig:
    """Where the images come from and how they are labeled."""

    images: Annotated[str, Enters.INDIRECTLY, PATH] = ""
    """Path or URI of the images: a folder of image files; a folder, glob or file of WebDataset tar or Parquet shards;
    or a table of URIs."""
    kind: Annotated[Literal["auto", "folder", "tar", "parquet", "table"], Enters.INDIRECTLY] = "auto"
    """How to read `images`. `auto` decides by the files that are there."""
    uri_column: Annotated[str | None, Enters.INDIRECTLY] = None
    """Column with the URIs, in a table of URIs. By default `uri`, `url`, `path` or similar, else the first."""
    shards: Annotated[str | None, Enters.INDIRECTLY] = None
    """Glob over the names of shards; only matching shards are read. The shards of a folder are its subfolders."""
    sample: Annotated[Annotated[float, Field(gt=0.0, le=1.0)] | None, Enters.INDIRECTLY] = None
    """Use about this share of the images, chosen by a hash of their keys: the same images on every run."""
    limit: Annotated[PositiveInt | None, Enters.INDIRECTLY] = None
    """Use at most this many images, chosen by the same hash after `sample`."""
    labels: Annotated[str | None, Enters.INDIRECTLY, PATH] = None
    """Labels in a CSV or Parquet table with a row per image, or in a list (`.txt`). By default the label is part of the
    source: the folder's name, the tar's `.cls`, `.json` or `.txt` file, or the Parquet label column."""
    label_column: Annotated[str, Enters.INDIRECTLY] = "label"
    """Column with the label, in the `labels` table or in a table of URIs."""
    label_key: Annotated[str | None, Enters.INDIRECTLY] = None
    """Column with the image's key, in the `labels` table. By default `key`, `path`, `file`, `filename` or the first."""
    label_map: Annotated[str | None, Enters.INDIRECTLY, PATH] = None
    """CSV, JSON or the ILSVRC devkit's `meta.mat`: which label to use in place of each label in `labels`."""
    classes: Annotated[str | None, Enters.INDIRECTLY, PATH] = None
    """CSV or JSON with the names and WordNet ids of the labels. Those of ImageNet-1k are built in."""
    max_bad: Annotated[Share, Enters.NONE] = 0.01
    """Stop the run if more than this share of the images, and more than 10 of them, cannot be read."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Preprocessing:
    """From an image file to the network's input: part of the network, and stored with the index.

    Pixels are RGB uint8 until the last step: ``input = (pixel * scale - mean) / std``, then the channel order.
    """

    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = 256
    """Length of the shorter side after the resize, which keeps the aspect ratio; or exactly `[height, width]`."""
    crop: tuple[PositiveInt, PositiveInt] | None = (224, 224)
    """Center crop `[height, width]` after the resize."""
    interpolation: Interpolation = "bilinear"
    """Filter of the resize, antialiased: `nearest`, `bilinear`, `bicubic`, `lanczos` or `box`."""
    scale: float = 1 / 255
    """Factor on pixel values of 0 to 255, before mean and std."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Mean to subtract per channel (R, G, B), in units of `pixel * scale`."""
    std: tuple[Deviation, Deviation, Deviation] = (0.229, 0.224, 0.225)
    """Standard deviation to divide by, per channel (R, G, B)."""
    channel_order: Literal["RGB", "BGR"] = "RGB"
    """Order of the network's input channels."""
    average_image: Annotated[str | None, PATH] = None
    """`.npy` file of floats [height, width, 3], RGB, of the input's size, in units of `pixel * scale`. It is subtracted
    in place of `mean`, which becomes its mean color."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the network's input in pixels.

        Raises:
            ValueError: there is neither a crop nor a resize to an exact size.
        """
        if self.crop is not None:
            return self.crop
        if isinstance(self.resize, tuple):
            return self.resize
        raise ValueError("preprocessing needs a crop, or a resize to an exact (height, width)")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class NetworkConfig:
    """Which network to index, with which weights, and where to read it."""

    network: Annotated[str, Enters.INDIRECTLY, PATH] = ""
    """`torchvision:NAME`, `timm:NAME`, `chatfield:vgg-m`, `package.module:factory` for your own, or a file that holds
    network and weights: `.pt2` (torch.export) or `.mat` (MatConvNet)."""
    network_args: Annotated[dict[str, Any], Enters.INDIRECTLY] = field(default_factory=dict)
    """Keyword arguments of the factory."""
    weights: Annotated[str | None, Enters.INDIRECTLY, PATH] = None
    """Path or URI of a state dict or a checkpoint: `.safetensors` (or its `.index.json`), else a file of `torch.save`,
    read as data only. Or a name of torchvision's weights (`IMAGENET1K_V2`), a `.mat` for chatfield, or `random` for an
    untrained network."""
    weights_key: Annotated[str | None, Enters.INDIRECTLY] = None
    """Where the state dict is in a checkpoint, such as `model` or `ema.module`. By default, averaged weights (EMA) are
    preferred."""
    weights_prefix: Annotated[str | None, Enters.INDIRECTLY] = None
    """Prefix to remove from tensor names, such as `module.`; tensors without it are left out. By default, the prefix
    that makes the weights fit the network."""
    unsafe_pickle: Annotated[bool, Enters.NONE] = False
    """Load weights from a pickle that may run code. Use it only for files that you trust like a program."""
    layers: Annotated[tuple[str, ...], Enters.INDIRECTLY] = ("*",)
    """Globs over module names. `*` is every convolution; a glob that matches no convolution selects other modules, such
    as `fc`. Convolutions of channel gates (squeeze-and-excitation) are left out if a glob matches others too. `blocks`
    selects the output of every residual, inception or dense block. On the command line, repeat the option to give
    several."""
    tap: Annotated[Literal["activation", "convolution"], Enters.INDIRECTLY] = "activation"
    """Where a convolution is read: after its norm, bias and activation, or at its own output."""
    dtype: Annotated[Literal["float32", "bf16"], Enters.SCAN] = "float32"
    """Precision of convolutions and matrix products. `bf16` is faster where the processor has instructions for it. With
    its 8 significant bits, activations that differ by less than 0.4% become equal, and images can change places."""
    preprocessing: Annotated[Preprocessing | None, Enters.INDIRECTLY] = None
    """Preprocessing that replaces the network's own. On the command line a TOML file: see `raysel config --example`."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ScanConfig:
    """How to run the network over all images."""

    workers: Annotated[PositiveInt | None, Enters.NONE] = None
    """Number of CPU actors that run the network, one thread each. By default one per CPU that the cluster has
    when the scan begins."""
    gpus: Annotated[NonNegativeInt, Enters.INDIRECTLY] = 0
    """Number of actors with one GPU each; CPU tasks then decode the images. 0 uses the CPUs only."""
    device: Annotated[Literal["auto", "cpu", "cuda"], Enters.NONE] = "auto"
    """Device of the network. `auto` is CUDA where an actor has a GPU, else the CPU."""
    batch_size: Annotated[PositiveInt | None, Enters.INDIRECTLY] = None
    """Images per forward pass, the same for the whole scan. By default 16 on CPUs and 64 on GPUs."""
    call_images: Annotated[PositiveInt, Enters.NONE] = 128
    """Images per call of an actor."""
    rank_depth: Annotated[PositiveInt, Enters.SCAN] = 400
    """Images that a neuron's ranking keeps."""
    slice_images: Annotated[PositiveInt, Enters.NONE] = 2048
    """Maximum number of images in a slice, the unit of reading and of progress."""
    seed: Annotated[NonNegativeInt, Enters.NONE] = 0
    """Seed of the order in which slices are read."""
    snapshot_every_s: Annotated[Amount, Enters.NONE] = 30.0
    """Seconds between snapshots of the scan: about as much as a killed run loses. Snapshots take at most 5% of the
    time."""
    no_progress_timeout_s: Annotated[Seconds, Enters.NONE] = 1800
    """Stop the run if nothing progresses for this many seconds, for example because no machine has room for an
    actor. -1 waits forever."""
    lost_machine_wait_s: Annotated[Seconds, Enters.NONE] = 120
    """Seconds that an actor whose machine is lost may wait for another, before the scan continues with fewer actors. -1
    waits forever."""
    actor_restarts: Annotated[Times, Enters.NONE] = -1
    """Restarts of an actor that died. -1 means no limit."""
    task_retries: Annotated[Times, Enters.NONE] = -1
    """Retries of a call or task whose worker or machine died. -1 means no limit; reads are always retried without
    limit. An error raised by the program itself is never retried."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DeriveConfig:
    """How to compute neuron features and selectivity from the rankings."""

    n_max: Annotated[PositiveInt, Enters.INDEX] = 100
    """Maximum number of images that build a neuron's feature and indexes (paper, footnote 1)."""
    min_relative_activation: Annotated[Share, Enters.INDEX] = 0.70
    """Minimum activation of these images, as a share of the neuron's highest (paper, footnote 1)."""
    receptive_field: Annotated[Literal["auto", "theoretical", "local", "effective"], Enters.INDEX] = "auto"
    """What a crop shows. `theoretical`: all that a position can see. `local`: the same, but not through channel gates
    (squeeze-and-excitation) and norms over the whole map. `auto`: theoretical, but local where such gates and norms
    alone make it the whole image. `effective`: the square that holds 95% of the squared gradient over 64 images."""
    feature_max_size: Annotated[PositiveInt, Enters.INDEX] = 144
    """Larger crops are reduced by an integer factor to at most this many pixels a side."""
    float_features: Annotated[bool, Enters.INDEX] = False
    """Also store neuron features as float16, which takes four times as much space as their pictures of 8 bits."""
    sheet_crop_size: Annotated[PositiveInt, Enters.INDEX] = 48
    """Maximum side of the crops on contact sheets, in pixels."""
    color_space: Annotated[Literal["authors", "orthonormal"], Enters.INDEX] = "authors"
    """Opponent color space of Eq. 2: the paper authors' own or the orthonormal one."""
    class_threshold: Annotated[float, Field(gt=0.0, le=1.0), Enters.INDEX] = 1.0
    """Share of the activation that the counted classes must cover: `th` of Eq. 4."""
    hierarchy: Annotated[str | None, Enters.INDIRECTLY, PATH] = None
    """CSV, TSV or Parquet with columns `child` and `parent`: a hierarchy of your own above the labels. By default
    WordNet, for the classes of ImageNet-1k and labels with a WordNet id."""
    concept_share: Annotated[float, Field(gt=0.0, le=1.0), Enters.INDEX] = 0.8
    """Minimum share of a neuron's activation that its covering concept must have."""
    concepts: Annotated[str | None, Enters.INDEX] = None
    """Concepts, such as `dog,cat,vehicle`, or a depth of the hierarchy: class selectivity is also computed with all
    classes below one of them as one."""
    interventions: Annotated[str | None, Enters.INDEX] = None
    """Some of `gray,shape,orientation,symmetry`: the images of each neuron are changed and run again, to measure how
    much of its activation is lost."""
    intervention_images: Annotated[PositiveInt | None, Enters.INDEX] = None
    """Maximum number of images per neuron that interventions change, from the highest activation on. By default N."""
    cache_gb: Annotated[Amount, Enters.NONE] = 20.0
    """Disk space per machine for decoded images, in GB. Images beyond it are decoded again."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ClusterConfig:
    """Which Ray cluster to use. The result does not depend on it."""

    address: Annotated[str | None, Enters.NONE] = None
    """Ray cluster to join (`host:port`, or `auto`). By default $RAY_ADDRESS, else a local Ray for this run only."""
    num_cpus: Annotated[PositiveInt | None, Enters.NONE] = None
    """CPUs of a local Ray. By default all."""
    temp_dir: Annotated[str | None, Enters.NONE] = None
    """Folder for the files of a local Ray. By default a new folder, removed at the end."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class RunConfig:
    """One run of ``raysel index``."""

    out: Annotated[str, Enters.NONE] = ""
    """Path or URI of the index."""
    replace: Annotated[bool, Enters.NONE] = False
    """Replace the index if it was made with other settings."""
    source: SourceConfig = field(default_factory=SourceConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    scan: ScanConfig = field(default_factory=ScanConfig)
    derive: DeriveConfig = field(default_factory=DeriveConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def check(self) -> None:
        """Fail if options contradict each other.

        Raises:
            RayselError: what to change.
        """
        depth, n_max = self.scan.rank_depth, self.derive.n_max
        if n_max > depth:
            raise RayselError(
                f"--n-max {n_max} is more than the --rank-depth {depth} that rankings keep: "
                "lower the first or raise the second"
            )
