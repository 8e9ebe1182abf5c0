"""Blocks: which tensors are read for ``--layers blocks``, what they are called, and what their positions see."""

from __future__ import annotations

import pytest
import torch

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import Network, load
from raysel.network.graph.exporting import trace_by_export
from raysel.network.graph.tracing import trace
from raysel.network.importers.registry import import_network
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.network.taps import find_tap_points
from tests.network.maps import assert_close, maps, pixels, plain
from tests.network.receptive_field.gradient import Probe, assert_seen, positive
from tests.network.refused import assert_refused
from tests.network.residual import SIZE, residual

RESIDUAL = "tests.network.residual:residual"
READINGS = {
    "stage.0": "sum + relu",
    "stage.1": "output of Block",  # without a shortcut
    "stage.2": "sum + relu",
    "branches": "sum",
    "mixed": "concatenation",
    "before.0": "sum",
    "before.1": "sum",
    "smooth": "sum",  # and `between`, a container of convolutions too, is none
    "sum": "sum + relu",
}


def blocks_of(network: str, *layers: str, size: tuple[int, int] | None = None) -> Network:
    preprocessing = None if size is None else Preprocessing(resize=size, crop=None)
    weights = None if network.startswith("tests.") else "random"
    config = NetworkConfig(network=network, weights=weights, layers=("blocks", *layers), preprocessing=preprocessing)
    return load(config)


@pytest.mark.parametrize("distract", [False, True])
def test_blocks_of_many_kinds(distract: bool) -> None:
    network = load(NetworkConfig(network=RESIDUAL, network_args={"distract": distract}, layers=("blocks",)))
    assert {tap.layer: tap.reading for tap in network.taps} == READINGS
    assert [tap.depth - 6 * distract for tap in network.taps] == [3, 5, 7, 9, 12, 13, 14, 16, 18]


def test_blocks_beside_globs() -> None:
    assert [tap.layer for tap in blocks_of(RESIDUAL, "stem", "stage.1", "head").taps] == ["stem", *READINGS, "head"]


def test_blocks_beside_the_convolutions_that_they_end_with() -> None:
    """MobileNetV2's blocks without a shortcut return what their last convolutions are read at."""
    network = blocks_of("torchvision:mobilenet_v2", "*", size=(64, 96))
    assert len(network.taps) == 17 + 52
    images = pixels(network, 2)
    actual = maps(network, images)
    module = import_network(NetworkConfig(network="torchvision:mobilenet_v2", weights="random")).module
    assert_close(actual["features.2"], plain(module, images, network)["features.2"])
    assert torch.equal(actual["features.2"], actual["features.2.conv.2"])


def test_activations_are_what_the_modules_return() -> None:
    network = blocks_of(RESIDUAL)
    images = pixels(network, 3)
    expected = plain(import_network(NetworkConfig(network=RESIDUAL)).module, images, network)
    actual = maps(network, images)
    for layer in READINGS.keys() - {"sum"}:
        assert_close(actual[layer], expected[layer])
    assert_close(actual["sum"], torch.relu(expected["left"] + expected["right"]))


@pytest.mark.parametrize("name", ["residual", "torchvision:shufflenet_v2_x0_5", "timm:hrnet_w18_small"])
def test_both_tracers_find_the_same(name: str) -> None:
    config = NetworkConfig(network=name, weights="random")
    module = residual(distract=True) if name == "residual" else import_network(config).module
    size = SIZE if name == "residual" else (96, 128)
    found = []
    for tracer in (trace, trace_by_export):
        traced = tracer(module, size)
        channels_dim = TensorReceptiveFields(traced, size).channels_dim
        points, _ = find_tap_points(traced, ("blocks",), "activation", channels_dim)
        _, note = find_tap_points(traced, ("*",), "activation", channels_dim)
        found.append(([(point.layer, point.reading, point.depth) for point in points], note))
    assert found[0] == found[1]
    assert len(found[0][0]) >= len(READINGS)


def test_fields_against_gradients() -> None:
    network, module = blocks_of(RESIDUAL), import_network(NetworkConfig(network=RESIDUAL)).module
    probe = Probe(positive(module), network.preprocessing.input_size)
    for tap in network.taps:
        assert tap.receptive_field.exact
        if tap.layer != "sum":
            assert tap.map_size == probe.map_size(tap.layer)
            assert_seen(probe, tap.layer, tap.receptive_field)
    assert network.taps[-1].receptive_field.size == network.taps[-2].receptive_field.size + 2 * 4  # `right`, stride 4


# The classes of the blocks of each network, and how many it has.
CLASSES = {
    "torchvision:resnet18": ("BasicBlock", 8),
    "torchvision:resnet50": ("Bottleneck", 16),
    "torchvision:convnext_tiny": ("CNBlock", 18),
    "torchvision:mobilenet_v2": ("InvertedResidual", 17),
    "torchvision:efficientnet_b0": ("MBConv", 16),
    "torchvision:regnet_y_400mf": ("ResBottleneckBlock", 16),
    "torchvision:swin_t": ("SwinTransformerBlock", 12),
    "torchvision:maxvit_t": ("MBConv PartitionAttentionLayer", 33),
    "torchvision:squeezenet1_1": ("Fire", 8),
    "torchvision:googlenet": ("Inception", 9),
    "torchvision:inception_v3": ("InceptionA InceptionB InceptionC InceptionD InceptionE", 11),
    "torchvision:densenet121": ("_DenseBlock", 4),
    "torchvision:shufflenet_v2_x0_5": ("InvertedResidual", 16),
    "timm:efficientnet_b0": ("DepthwiseSeparableConv InvertedResidual", 16),
    "timm:mixnet_s": ("DepthwiseSeparableConv InvertedResidual", 16),  # concatenations inside
    "timm:resnetv2_50": ("PreActBottleneck", 16),
    "timm:res2net50_14w_8s": ("Bottle2neck", 16),  # sums inside
    "timm:poolformer_s12": ("MetaFormerBlock", 12),  # two sums each
    "timm:dla34": ("DlaBasic", 12),
    "timm:dpn68b": ("DualPathBlock", 22),
    "timm:repvgg_a0": ("RepVggBlock", 22),
    "timm:rexnet_100": ("LinearBottleneck", 16),
    "timm:regnetx_002": ("Bottleneck", 13),
}


@pytest.mark.parametrize("name", CLASSES)
def test_blocks_of_known_networks(name: str) -> None:
    classes, count = CLASSES[name]
    module = import_network(NetworkConfig(network=name, weights="random")).module
    expected = {key for key, child in module.named_modules() if type(child).__name__ in classes.split()}
    assert len(expected) == count
    assert {tap.layer for tap in blocks_of(name).taps} == expected


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "convnext_tiny", "inception_v3"])
def test_torchvision_returns_the_same(name: str) -> None:
    network = blocks_of(f"torchvision:{name}", size=(96, 128))
    images = pixels(network, 2)
    config = NetworkConfig(network=f"torchvision:{name}", weights="random")
    expected = plain(import_network(config).module, images, network)
    for layer, actual in maps(network, images).items():
        assert_close(actual, expected[layer])


def test_fields_of_a_resnet() -> None:
    """By hand: 7 with stride 2, 3 with stride 2, then two kernels of 3 per block, with strides of 4, 8, 16 and 32."""
    taps = blocks_of("torchvision:resnet18").taps
    assert [tap.receptive_field.size for tap in taps] == [27, 43, 67, 99, 147, 211, 307, 435]
    assert [tap.receptive_field.rows.stride for tap in taps] == [4, 4, 8, 8, 16, 16, 32, 32]
    assert [tap.channels for tap in taps] == [64, 64, 128, 128, 256, 256, 512, 512]


def test_branches_of_a_module_with_several_outputs() -> None:
    """HRNet adds maps of all branches in each: these sums are outputs of one module."""
    layers = [tap.layer for tap in blocks_of("timm:hrnet_w18_small").taps]
    assert [layer for layer in layers if layer.startswith("stage3") and "branches" not in layer] == [
        "stage3.0.sum",
        "stage3.0.sum#2",
        "stage3.0.sum#3",
    ]


@pytest.mark.parametrize("name", ["torchvision:vgg11", "torchvision:vit_b_32"])
def test_networks_without_blocks(name: str) -> None:
    assert_refused("this network has no blocks", network=name, weights="random", layers=("blocks",))


def test_networks_that_cannot_be_traced() -> None:
    assert_refused(
        "cannot be traced, so its blocks are not known", network="tests.network.residual:by_value", layers=("blocks",)
    )
