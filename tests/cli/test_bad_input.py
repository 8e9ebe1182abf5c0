"""Whatever is wrong with what was typed: one line on stderr, exit code 2, nothing half-written."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from raysel.config import ScanConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.scan.layout import ScanLayout
from tests.typed import TINY, Ended, furnish, raysel_here
from tests.typed import raysel as typed


@pytest.fixture
def type_here(tmp_path, monkeypatch):
    """Types a command in a furnished folder, in this process: nothing here gets as far as Ray."""
    monkeypatch.chdir(furnish(tmp_path / "home"))
    return partial(raysel_here, Path.cwd())


def left_alone(folder: Path = Path("out")) -> bool:
    return not folder.exists()


class Harmful:
    def __reduce__(self):
        return print, ("code of the checkpoint runs",)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("nowhere", ["no such file or folder", "nowhere"]),
        ("empty", ["empty"]),
        ("texts", ["no image", "2 x .txt"]),
        ("texts/1.txt", ["one file"]),
        ("gone://bucket/images", ["gone://bucket/images"]),
    ],
)
def test_images(type_here, images, says):
    Path("empty").mkdir()
    Path("texts").mkdir()
    for name in ("1.txt", "2.txt"):
        Path("texts", name).write_text("no image")
    fault = type_here("index", "--network", "tiny_network:tiny", "--images", images, "--out", "out").fault
    for part in says:
        assert part in fault
    assert left_alone()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--concepts", "dgo"], ["no concept 'dgo'", "did you mean", "dog"]),
        (["--concepts", "dog,crane"], ["'crane' names 2 concepts", "n02012849, n03126707"]),
        (["--concepts", "99"], ["no concept has depth 99"]),
        (["--hierarchy", "nowhere.csv"], ["no table at", "nowhere.csv"]),
        (["--hierarchy", "cycle.csv"], ["cycle.csv is not a hierarchy", "a -> a"]),
        (["--hierarchy", "kinds.csv", "--concepts", "kidn"], ["no concept 'kidn'", "did you mean kind?"]),
    ],
)
def test_concepts(type_here, options, says):
    Path("cycle.csv").write_text("child,parent\na,a\n")
    Path("kinds.csv").write_text("child,parent\nred,kind\n")
    fault = type_here("index", *TINY, "--out", "out", *options).fault
    for part in says:
        assert part in fault
    assert left_alone()


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (["torchvision:resnet5", "--weights", "random"], ["torchvision:resnet5", "resnet50"]),
        (["chatfield:vgg-x", "--weights", "random"], ["chatfield:vgg-x", "vgg-m"]),
        (["resnet50"], ["resnet50", "torchvision:NAME"]),
        (["no_such_module:make"], ["no_such_module"]),
        (["tiny_network:make"], ["tiny_network", "make"]),
        (["tiny_network:broken"], ["tiny_network:broken", "KeyError", "no such thing"]),
        (["tiny_network:no_network"], ["torch.nn.Module", "int"]),
        (["tiny_network:tiny", "--network-args", '{"depth": 3}'], ["tiny_network:tiny", "depth"]),
        (["tiny_network:tiny", "--network-args", "{width: 3}"], ["--network-args", "JSON"]),
        (["tiny_network:tiny", "--network-args", "[3]"], ["--network-args", "JSON object"]),
        (["tiny_network:tiny", "--layers", "features.*"], ["features.*", "0, 2"]),
        (["tiny_network:tiny", "--tap", "input"], ["--tap", "input", "activation"]),
        (["torchvision:alexnet"], ["torchvision:alexnet", "--weights"]),
    ],
)
def test_network(type_here, network, says):
    fault = type_here("index", "--images", "images", "--out", "out", "--network", *network).fault
    for part in says:
        assert part in fault
    assert left_alone()


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ("nowhere.pth", ["nowhere.pth", ".safetensors"]),
        ("other.pth", ["other.pth", "missing", "0.weight", "unexpected", "head.weight"]),
        ("shape.pth", ["shape.pth", "0.weight"]),
        ("harmful.pth", ["harmful.pth", "pickle", "safetensors", "--unsafe-pickle"]),
        ("torn.safetensors", ["torn.safetensors"]),
        ("torn.pth", ["torn.pth"]),
        ("images", ["images"]),
    ],
)
def test_weights(type_here, weights, says):
    torch.save({"head.weight": torch.zeros(2)}, "other.pth")
    shapes = {"0.weight": (6, 3, 5, 5), "0.bias": (6,), "2.weight": (4, 6, 3, 3), "2.bias": (4,)}
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, "shape.pth")
    torch.save({"0.weight": Harmful()}, "harmful.pth")
    for torn in ("torn.safetensors", "torn.pth"):
        Path(torn).write_bytes(b"abc")
    fault = type_here("index", *TINY, "--weights", weights, "--out", "out").fault
    for part in says:
        assert part in fault
    assert left_alone()


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["--labels", "nowhere.csv"], ["nowhere.csv"]),
        (["--labels", "labels.csv", "--label-column", "breed"], ["breed", "file, label"]),
        (["--labels", "labels.csv", "--label-key", "breed"], ["breed", "file, label"]),
        (["--labels", "empty.csv"], ["empty.csv"]),
        (["--labels", "twice.csv"], ["twice.csv", "00.png", "several labels"]),
    ],
)
def test_labels(type_here, labels, says):
    Path("labels.csv").write_text("file,label\nelsewhere.png,cat\n")
    Path("twice.csv").write_text("file,label\n00.png,cat\n00.png,dog\n")
    Path("empty.csv").write_text("")
    fault = type_here("index", *TINY, *labels, "--out", "out").fault
    for part in says:
        assert part in fault
    assert left_alone()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--n-max", "21", "--rank-depth", "20"], ["--n-max 21", "--rank-depth 20"]),
        (["--network-args.depth", "3"], ["--network-args.depth", "--network-args?"]),
        (["--n-max", "0"], ["--n-max", "greater than 0"]),
        (["--rank-depth", "0"], ["--rank-depth", "greater than 0"]),
        (["--workers", "-1"], ["--workers", "greater than 0"]),
        (["--workers", "0"], ["--workers", "greater than 0"]),
        (["--gpus", "-1"], ["--gpus"]),
        (["--batch-size", "0"], ["--batch-size", "greater than 0"]),
        (["--min-relative-activation", "1.5"], ["--min-relative-activation", "1.5", "less than or equal to 1"]),
        (["--min-relative-activation", "nan"], ["--min-relative-activation"]),
        (["--class-threshold", "0"], ["--class-threshold"]),
        (["--snapshot-every", "-3"], ["--snapshot-every is -3", "greater than or equal to 0"]),
        (["--cache-gb", "-1"], ["--cache-gb"]),
        (["--cache-gb", "inf"], ["--cache-gb"]),
        (["--num-cpus", "0"], ["--num-cpus"]),
        (["--receptive-field", "blur"], ["--receptive-field", "blur", "auto", "theoretical", "local", "effective"]),
        (["--kind", "zip"], ["--kind", "zip", "folder", "tar"]),
        (["--workers", "two"], ["--workers", "two", "int", "raysel index --help"]),
        (["--n-max"], ["--n-max", "requires an argument", "--help"]),
        (["--worker", "2"], ["--worker", "Did you mean --workers?", "raysel index --help"]),
        (["--n-max", "5", "--n-max", "6"], ["--n-max", "multiple times"]),
        (["images"], ["images", "raysel index --help"]),
    ],
)
def test_options(type_here, options, says):
    fault = type_here("index", *TINY, "--out", "out", *options).fault
    for part in says:
        assert part in fault
    assert left_alone()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[scan]\nworker = 2\n", ["scan.worker", "did you mean workers?"]),
        ("[scam]\nworkers = 2\n", ["scam", "did you mean scan?"]),
        ("[network.preprocessing]\ncenter = 2\n", ["network.preprocessing.center", "crop"]),
        ("workers = 2\n", ["workers", "it belongs in [scan]"]),
        ("[derive]\nrank_depth = 2\n", ["derive.rank_depth", "it belongs in [scan]"]),
        ("[scan]\nout = 'index'\n", ["scan.out", "it belongs before the first table"]),
        ("scan = 3\n", ["scan is 3"]),
        ("[network]\nlayers = 'conv1'\n", ["network.layers is 'conv1'"]),
        ("[scan\n", ["not TOML", "line 1"]),
        ("[derive]\nn_max = 0\n", ["derive.n_max", "greater than 0"]),
        ("[derive]\ncolor_space = 'lab'\n", ["derive.color_space", "'lab'", "'authors' or 'orthonormal'"]),
        ("[network.preprocessing]\nresize = 0\n", ["network.preprocessing.resize"]),
        ("\0\xff", ["not TOML"]),
        (None, ["No such file"]),
    ],
)
def test_configuration_file(type_here, content, says):
    if content is not None:
        Path("run.toml").write_bytes(content.encode("latin-1"))
    fault = type_here("index", *TINY, "--out", "out", "--config", "run.toml").fault
    for part in ["run.toml", *says]:
        assert part in fault
    assert left_alone()


@pytest.mark.parametrize("missing", ["--network", "--images", "--out"])
def test_what_every_run_needs(type_here, missing):
    given = {"--network": "tiny_network:tiny", "--images": "images", "--out": "out"}
    rest = [text for option, value in given.items() if option != missing for text in (option, value)]
    fault = type_here("index", *rest).fault
    assert missing in fault
    assert not any(option in fault for option in given if option != missing)


def test_a_place_that_is_a_file(type_here):
    Path("out").write_text("mine")
    for place in ("out", "out/index"):
        assert "out is not a folder" in type_here("index", *TINY, "--out", place).fault
    assert Path("out").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_permission(type_here):
    Path("locked").mkdir(0o555)
    assert "no permission" in type_here("index", *TINY, "--out", "locked/index").fault


def test_a_command_that_is_none(type_here):
    fault = type_here("indx").fault
    assert "indx" in fault
    assert "index" in fault


def test_a_misplaced_uri_keeps_its_secret(type_here):
    for arguments in (["index", "s3://key:secret@bucket/images"], ["s3://key:secret@bucket/images"]):
        fault = type_here(*arguments).fault
        assert "secret" not in fault
        assert "s3://bucket/images" in fault
    assert "secret" not in type_here("index", "s3://key:ab/secret@bucket/images").fault
    assert "secret" not in type_here("index", "https://host/images?token=secret").fault


@pytest.mark.parametrize("network", ["https://key:secret@host/net.onnx", "s3://key:secret@bucket/net"])
def test_a_network_by_uri_keeps_its_secret(type_here, network):
    for arguments in (["layers", network], ["index", "--network", network, "--images", "images", "--out", "out"]):
        fault = type_here(*arguments).fault
        assert "unknown network" in fault
        assert "secret" not in fault


def test_debug_shows_where_it_arose(type_here):
    for arguments in (["--debug", "index"], ["index", "--debug"]):
        ended = type_here(*arguments, "--network", "tiny_network:tiny", "--images", "nowhere", "--out", "out")
        assert ended.status == 2
        assert "Traceback (most recent call last)" in ended.err
        assert "open_source" in ended.err
        assert ended.err.splitlines()[-1].startswith("raysel: no such file or folder")


def test_more_actors_than_there_is_room_for():
    """A Ray of the run's own will not grow; machines may join a cluster."""
    own, joined = Cluster(cpus=4, gpus=1, session="/tmp/session"), Cluster(cpus=4, gpus=1)
    with pytest.raises(RayselError, match=r"--workers 5.* 4 CPUs"):
        ScanLayout.of(ScanConfig(workers=5), own, 10)
    with pytest.raises(RayselError, match=r"--gpus 2.* has 1"):
        ScanLayout.of(ScanConfig(gpus=2), own, 10)
    assert ScanLayout.of(ScanConfig(workers=5), joined, 10).workers == 5
    assert ScanLayout.of(ScanConfig(gpus=2), joined, 10).workers == 2
    for cluster in (own, joined):
        with pytest.raises(RayselError, match=r"--device cuda without --gpus"):
            ScanLayout.of(ScanConfig(device="cuda"), cluster, 10)
    with pytest.raises(RayselError, match=r"the cluster has no CPU"):
        ScanLayout.of(ScanConfig(), replace(joined, cpus=0), 10)


# From here on in a process of their own: they get as far as Ray, or look at an index that a run has made.


def test_an_index_with_other_settings(home: Path, indexed: Ended):
    before = (home / "index" / "manifest.json").read_bytes()
    fault = typed(home, "index", *TINY, "--out", "index", "--n-max", "9", "--workers", "1").fault
    assert "n_max 100, now 9" in fault
    assert "--replace" in fault
    assert (home / "index" / "manifest.json").read_bytes() == before


@pytest.mark.ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "no-such-host.invalid:6379", "nonsense"])
def test_a_cluster_that_does_not_answer(home: Path, address: str):
    started = time.monotonic()
    fault = typed(home, "index", *TINY, "--out", "unmade", "--address", address).fault
    assert address in fault
    assert "--address" in fault
    assert time.monotonic() - started < 90  # the import of torch and ray, and no retries
    assert not (home / "unmade" / "manifest.json").exists()


@pytest.mark.ray
def test_more_gpus_than_there_are_and_labels_of_other_images(home: Path):
    """One after the other on the same place: the second reuses the plan of the first, so Ray starts but once."""
    ended = typed(home, "index", *TINY, "--out", "refused", "--gpus", "99", "--num-cpus", "1")
    assert "--gpus 99" in ended.fault
    (home / "elsewhere.csv").write_text("file,label\nelsewhere.png,cat\n")
    fault = typed(home, "index", *TINY, "--out", "refused", "--labels", "elsewhere.csv").fault
    assert "blue/02.png" in fault
    assert "elsewhere.png" in fault
    assert not (home / "refused" / "manifest.json").exists()
