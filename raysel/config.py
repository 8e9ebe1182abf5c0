"""Every option of a run: one frozen dataclass per stage, documented field by field.

The same classes read ``--config FILE.toml`` (one table per stage) and the command line. What a run used is written into
its index, so every field here is data: text, numbers, tuples.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid")

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[int, Field(ge=-1)]
"""-1: no limit."""
Times = Annotated[int, Field(ge=-1)]
"""-1: no limit."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SourceConfig:
    """Where the images come from, and what they are labelled."""

    images: str = ""
    """Folder of image files; folder, glob or file of WebDataset tar or Parquet shards; table of URIs. Path or URI."""
    kind: Literal["auto", "folder", "tar", "parquet", "table"] = "auto"
    """How to read `images`; ``auto`` looks at what is there."""
    uri_column: str | None = None
    """Column of a table of URIs that holds them; default ``uri``, ``url``, ``path`` ... or the first."""
    shards: str | None = None
    """Glob over the names of shards: only these are read. Of a folder its first-level folders are the shards."""
    sample: float | None = None
    """Only about this share of the images, chosen by a hash of their keys: the same on every run."""
    limit: int | None = None
    """At most so many images, chosen in the same way, after `sample`."""
    labels: str | None = None
    """CSV or Parquet table, a row per image, or a list (``.txt``); without it the label is what the source says: the
    folder's name, the tar's ``.cls``, the Parquet's label column."""
    label_column: str = "label"
    """Column of `labels`, or of a table of URIs, that holds the label."""
    label_key: str | None = None
    """Column of `labels` that holds the image's key; default ``key``, ``path``, ``file``, ``filename`` or the first."""
    label_map: str | None = None
    """CSV, JSON, or the ILSVRC devkit's ``meta.mat``: which label to use for which in `labels`."""
    classes: str | None = None
    """CSV or JSON: what labels are called, and their wnids; ImageNet-1k's are known."""
    max_bad: float = 0.01
    """More bad images than this share of all stop the run."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Preprocessing:
    """From an image file to the network's input. Part of the network, stored with the index.

    Pixels are RGB uint8 until the last step: ``input = (pixel * scale - mean) / std``, then the channel order.
    """

    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = 256
    """An int: the shorter side becomes that long, aspect kept. A pair: exactly (height, width). None: not resized."""
    crop: tuple[PositiveInt, PositiveInt] | None = (224, 224)
    """Centre crop (height, width) after the resize; None: no crop (then `resize` must be a pair)."""
    interpolation: Interpolation = "bilinear"
    """Filter of the resize, antialiased."""
    scale: float = 1 / 255
    """Factor on 0..255 pixel values before mean and std."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Per channel, R G B, in units of ``pixel * scale``."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Per channel, R G B."""
    channel_order: Literal["RGB", "BGR"] = "RGB"
    """Order in which the network wants its channels."""
    average_image: str | None = None
    """``.npy`` file, float [height, width, 3] of the input's size, RGB, in units of ``pixel * scale``: taken away in
    place of `mean`, which then is its mean color."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) in pixels of what the network sees."""
        if self.crop is not None:
            return self.crop
        if isinstance(self.resize, tuple):
            return self.resize
        raise ValueError("preprocessing needs a crop, or a resize to an exact (height, width)")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class NetworkConfig:
    """Which network, with which weights, read where."""

    network: str = ""
    """``torchvision:NAME``, ``chatfield:vgg-m``, ``package.module:factory`` for one's own, or a file that holds network
    and weights: ``.pt2`` (torch.export), ``.mat`` (MatConvNet), ``.caffemodel``."""
    network_args: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the factory."""
    weights: str | None = None
    """State dict, by path or URI: ``.safetensors``, or ``.pth`` read with ``weights_only=True``, bare or under a key
    such as ``state_dict``. For torchvision also the name of published weights (``IMAGENET1K_V2``), for chatfield the
    authors' ``.mat`` or ``.caffemodel``. ``random``: untrained, from seed 0."""
    unsafe_pickle: bool = False
    """Load weights that are a pickle with arbitrary code. Only for files one trusts like a program."""
    layers: tuple[str, ...] = ("*",)
    """Globs over module names of convolutions; ``*`` is every convolution. One that matches no convolution chooses
    modules of any other kind, such as ``fc``."""
    tap: Literal["activation", "convolution"] = "activation"
    """Read after the convolution's own batch norm and activation, or at the convolution's own output."""
    preprocessing: Preprocessing | None = None
    """Overrides what the network itself says."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ScanConfig:
    """The pass over all images."""

    workers: PositiveInt | None = None
    """Actors of a CPU scan, one thread each; by default one per CPU of the cluster."""
    gpus: NonNegativeInt = 0
    """Actors that hold one GPU each; then decoding runs on CPU tasks beside them. 0: the CPU layout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the forward runs; ``auto``: on CUDA where actors hold a GPU, else on the CPU."""
    batch_size: PositiveInt | None = None
    """Images in one forward, fixed for the whole scan (short batches are padded); default 16 on CPU, 64 on GPU."""
    call_images: PositiveInt = 128
    """Images handed to an actor in one call; each call returns one row."""
    rank_depth: PositiveInt = 400
    """Entries that a ranking keeps (the paper's Fig. 1 shows 400)."""
    slice_images: PositiveInt = 2048
    """At most this many consecutive images of one shard are one slice, the unit of reading and of progress."""
    seed: NonNegativeInt = 0
    """Of the order in which slices are read."""
    snapshot_every_s: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 30.0
    """A run that is killed loses at most about this much of its scan; snapshots take at most 5 % of the time."""
    wait_for_min_actors_s: Seconds = 1800
    """Give up with a clear error when the actors cannot be placed for so long; -1 waits forever."""
    no_progress_timeout_s: Seconds = 1800
    """Give up when no operator of the scan moves, or no task of derive ends, for so long; -1 never."""
    lost_machine_wait_s: Seconds = 120
    """When a machine is lost: wait so long for another in its place, then go on with fewer actors, and with more again
    when one comes; -1 waits for one."""
    actor_restarts: Times = -1
    """How often an actor that died is started again; -1: as often as need be."""
    task_retries: Times = -1
    """How often a call, or a task of scan or derive, runs again when its worker or machine died; -1: as often as need
    be, as always where slices are read. A fault that the program itself raises ends the run at once."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DeriveConfig:
    """From rankings to neuron features and indexes."""

    n_max: PositiveInt = 100
    """At most this many images build the neuron feature and the indexes (paper, footnote 1)."""
    min_relative_activation: Share = 0.70
    """Only images with at least this share of a_max take part (paper, footnote 1)."""
    receptive_field: Literal["theoretical", "effective"] = "theoretical"
    """What a crop is cut to: all that a position can see, or the square that holds 95 % of its squared gradient over 64
    of the images; for networks whose theoretical field exceeds the input."""
    feature_max_size: PositiveInt = 144
    """Larger crops are reduced by a whole factor to at most this many pixels a side (VGG-M's largest is 139)."""
    sheet_crop_size: PositiveInt = 48
    """Crops on the contact sheets are at most this many pixels a side."""
    color_space: Literal["authors", "orthonormal"] = "authors"
    """Opponent space of Eq. 2: the authors' own, or the orthonormal one."""
    class_threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """`th` of Eq. 4: the share of activation that the counted classes must cover."""
    cache_gb: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 20.0
    """Disk per machine for decoded inputs; images past it are decoded again."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ClusterConfig:
    """The Ray that the run uses. No part of any fingerprint: the result does not depend on it."""

    address: str | None = None
    """A running cluster (``auto`` or ``host:port``); by default $RAY_ADDRESS, else a local Ray of this run's own."""
    num_cpus: PositiveInt | None = None
    """CPUs of a local Ray; default all."""
    temp_dir: str | None = None
    """Where a local Ray keeps its session; default a fresh short folder, removed at the end."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class RunConfig:
    """One run of ``raysel index``."""

    out: str
    """Folder or URI of the index."""
    replace: bool = False
    """Allow an index with other settings at `out` to be replaced."""
    source: SourceConfig = field(default_factory=SourceConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    scan: ScanConfig = field(default_factory=ScanConfig)
    derive: DeriveConfig = field(default_factory=DeriveConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
