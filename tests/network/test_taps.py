"""The taps of networks: which tensors are read, and their names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
import torch
from torch import nn

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.network import Network, load
from raysel.network.importers.registry import import_network
from tests.network.maps import assert_close, maps, pixels, plain
from tests.network.small import SMALL_END


def readings(network: Network) -> dict[str, str]:
    return {tap.layer: tap.reading for tap in network.taps}


def test_activations_written_in_many_ways() -> None:
    network = load(NetworkConfig(network="tests.network.small:gated"))
    assert readings(network) == {
        "plain": "relu",
        "swish": "silu",
        "hard": "batch norm + hardswish",
        "twice": "relu",
        "twice#2": "tanh",
        "bare": "convolution",
    }
    assert [tap.depth for tap in network.taps] == [0, 1, 2, 3, 4, 5]


def test_norms_and_biases_of_many_kinds() -> None:
    config = NetworkConfig(network="tests.network.small:Normalized")
    network = load(config)
    assert readings(network) == {
        "convs.group": "group norm + relu",
        "convs.instance": "instance norm + silu",
        "convs.layer": "layer norm + gelu",
        "convs.last": "layer norm + tanh",
        "convs.frozen": "frozen batch norm + relu",
        "convs.bias": "bias + elu",
        "convs.swish": "swish",
        "convs.learned": "swish",
        "convs.place": "convolution",  # a number per place is not a bias
    }
    images = pixels(network, 2)
    module: Any = import_network(config).module
    expected, actual = plain(module, images, network), maps(network, images)
    functional = nn.functional
    assert_close(actual["convs.group"], expected["group"].relu())
    assert_close(actual["convs.instance"], functional.silu(expected["instance"]))
    assert_close(actual["convs.layer"], functional.gelu(expected["layer"]).permute(0, 3, 1, 2))
    assert_close(actual["convs.last"], expected["last"].tanh().permute(0, 3, 1, 2))
    assert_close(actual["convs.frozen"], expected["frozen"].relu())
    assert_close(actual["convs.bias"], functional.elu(expected["convs.bias"] + module.bias))
    swish = expected["convs.swish"]
    assert_close(actual["convs.swish"], swish * torch.sigmoid(1.702 * swish))


def test_reads_of_shapes_and_checks_use_no_tensor() -> None:
    config = NetworkConfig(network="tests.network.small:Checked")
    network = load(config)
    assert readings(network) == {"conv": "batch norm + relu", "swish": "silu"}
    images = pixels(network, 2)
    module = import_network(config).module.eval()
    expected, actual = plain(module, images, network), maps(network, images)
    assert_close(actual["conv"], module.norm(expected["conv"]).relu())


@pytest.mark.parametrize("name", ["inception_v4", "mobilenetv2_050"])
def test_timm_is_read_after_its_batch_norm(name: str) -> None:
    network = load(NetworkConfig(network="timm.models:create_model", network_args={"model_name": name}))
    assert set(readings(network).values()) <= {"batch norm", "batch norm + relu", "batch norm + relu6"}


def test_written_out_activations_are_computed() -> None:
    config = NetworkConfig(network="tests.network.small:gated", layers=("swish", "hard"))
    network = load(config)
    images = pixels(network, 2)
    expected, actual = plain(import_network(config).module, images, network), maps(network, images)
    assert_close(actual["swish"], nn.functional.silu(expected["swish"]))
    assert_close(actual["hard"], nn.functional.hardswish(expected["norm"]))


def test_convolution_option_reads_convolutions() -> None:
    network = load(NetworkConfig(network="tests.network.small:gated", tap="convolution"))
    assert set(readings(network).values()) == {"convolution"}


@pytest.mark.parametrize(
    ("name", "layer", "reading"),
    [
        ("resnet18", "layer1.0.conv1", "batch norm + relu"),
        ("resnet18", "layer1.0.conv2", "batch norm"),  # the sum and its ReLU belong to the block
        ("mobilenet_v3_small", "features.2.block.0.0", "batch norm + relu"),
        ("mobilenet_v3_small", "features.4.block.0.0", "batch norm + hardswish"),
        ("efficientnet_b0", "features.2.0.block.0.0", "batch norm + silu"),
        ("efficientnet_b0", "features.2.0.block.2.fc1", "silu"),
        ("efficientnet_b0", "features.2.0.block.2.fc2", "sigmoid"),
        ("googlenet", "inception3a.branch1.conv", "batch norm + relu"),
        ("densenet121", "features.denseblock1.denselayer1.conv1", "batch norm + relu"),
        ("densenet121", "features.transition1.conv", "convolution"),
        ("convnext_tiny", "features.0.0", "layer norm"),
        ("convnext_tiny", "features.1.0.block.0", "layer norm"),
        ("swin_t", "features.0.0", "layer norm"),
    ],
)
def test_readings_in_torchvision(name: str, layer: str, reading: str) -> None:
    network = load(NetworkConfig(network=f"torchvision:{name}", weights="random", layers=(layer,)))
    assert readings(network) == {layer: reading}


def test_depth_counts_all_convolutions() -> None:
    network = load(
        NetworkConfig(
            network="chatfield:vgg-f",
            weights="random",
            network_args=SMALL_END,
            layers=("conv4", "conv2", "fc6", "relu4"),
        )
    )
    assert [(tap.layer, tap.depth) for tap in network.taps] == [("conv2", 1), ("conv4", 3), ("relu4", 4), ("fc6", 5)]


def test_modules_by_name() -> None:
    config = NetworkConfig(network="torchvision:resnet18", weights="random", layers=("layer2.1", "avgpool", "fc"))
    network = load(config)
    assert [(tap.layer, tap.channels, tap.map_size) for tap in network.taps] == [
        ("layer2.1", 128, (28, 28)),
        ("avgpool", 512, (1, 1)),
        ("fc", 1000, (1, 1)),
    ]
    assert [tap.receptive_field.whole for tap in network.taps] == [False, True, True]
    assert network.taps[0].receptive_field.size == 99  # that of its convolutions; the sum's other operand sees less
    images = pixels(network, 2)
    expected, actual = plain(import_network(config).module, images, network), maps(network, images)
    assert_close(actual["layer2.1"], expected["layer2.1"])
    assert_close(actual["fc"][:, :, 0, 0], expected["fc"])


@pytest.mark.parametrize(
    ("name", "layers", "sizes"),
    [
        ("convnext_tiny", ("features.1.0.block.3", "features.1.0.block.4"), (384, 56, 56)),  # linear, GELU
        ("convnext_tiny", ("features.1.0.block.2",), (96, 56, 56)),  # layer norm
        ("swin_t", ("features.1.0.mlp.0", "features.1.0.mlp.1"), (384, 56, 56)),
        ("swin_t", ("features.3.1.mlp.3", "features.2.reduction"), (192, 28, 28)),
    ],
)
def test_modules_with_the_channels_last(name: str, layers: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    config = NetworkConfig(network=f"torchvision:{name}", weights="random", layers=layers)
    network = load(config)
    assert {(tap.channels, *tap.map_size) for tap in network.taps} == {sizes}
    images = pixels(network, 2)
    expected, actual = plain(import_network(config).module, images, network), maps(network, images)
    for layer in layers:
        assert_close(actual[layer], expected[layer].permute(0, 3, 1, 2))


def test_fields_of_linear_layers_with_the_channels_last() -> None:
    layers = ("features.1.0.block.0", "features.1.0.block.4", "features.1.1.block.4")
    network = load(NetworkConfig(network="torchvision:convnext_tiny", weights="random", layers=layers))
    fields = [tap.receptive_field for tap in network.taps]
    assert [(field.size, field.exact) for field in fields] == [(28, True), (28, True), (52, True)]


def test_layers_are_in_the_order_of_the_graph() -> None:
    network = load(
        NetworkConfig(
            network="chatfield:vgg-f", weights="random", network_args=SMALL_END, layers=("conv5", "conv*", "conv1")
        )
    )
    assert [tap.layer for tap in network.taps] == ["conv1", "conv2", "conv3", "conv4", "conv5"]


def test_squeeze_and_excitation_sees_the_whole_image() -> None:
    config = NetworkConfig(network="torchvision:efficientnet_b0", weights="random", layers=("*", "*.fc?"))
    taps = load(config).taps
    fields = {tap.layer: tap.receptive_field for tap in taps}
    assert fields["features.1.0.block.0.0"].size == 7  # stem 3 with stride 2, depthwise 3: before any squeezing
    assert fields["features.1.0.block.1.fc1"].whole
    assert fields["features.1.0.block.2.0"].whole
    assert all(field.exact for field in fields.values())


GATES = {"distractors.low", "distractors.high", "distractors.low#2", "distractors.high#2"}


@pytest.mark.parametrize(
    ("layers", "gates"),
    [
        (("*",), set()),
        (("distractors.*",), set()),
        (("distractors.[lh]*",), GATES),
        (("*", "distractors.low"), {"distractors.low"}),
        (("*", "*.low*", "*.high*"), GATES),
        (("stem",), None),
    ],
)
def test_convolutions_of_gates_are_left_out_unless_they_are_named(
    layers: tuple[str, ...], gates: set[str] | None
) -> None:
    """`tests.network.residual.Distractors`: the mean and the maximum of a map become one gate."""
    config = NetworkConfig(network="tests.network.residual:residual", network_args={"distract": True}, layers=layers)
    network = load(config)
    assert {tap.layer for tap in network.taps} & GATES == (gates or set())
    left_out = set() if gates is None else GATES - gates
    names = " ".join(
        f"--layers '*.{name}'" for name in ("low", "high", "low#2", "high#2") if f"distractors.{name}" in left_out
    )
    expected = (f"convolutions of channel gates are left out ({len(left_out)}); {names} reads them",)
    assert network.notes == (expected if left_out else ())


@pytest.mark.parametrize(
    ("name", "layers", "count"),
    [
        ("timm:seresnet50", "*.se.*", 32),
        ("timm:skresnet18", "*.attn.*", 16),
        ("timm:ese_vovnet19b_dw", "*.attn.*", 4),
        ("timm:ecaresnet26t", "*.conv2.attn.*", 0),  # its gates have one-dimensional convolutions
        ("timm:mobilenetv3_small_050", "*.se.*", 18),  # and a convolution behind the pooling, which is no gate
    ],
)
def test_gates_of_many_kinds(name: str, layers: str, count: int) -> None:
    network = load(NetworkConfig(network=name, weights="random"))
    module = import_network(NetworkConfig(network=name, weights="random")).module
    convolutions = {key for key, child in module.named_modules() if isinstance(child, nn.Conv2d)}
    gates = {key for key in convolutions if fnmatchcase(key, layers)}
    assert len(gates) == count
    assert {tap.layer for tap in network.taps} == convolutions - gates


def test_a_glob_that_matches_nothing_names_layers() -> None:
    with pytest.raises(RayselError, match=r"no layer matches 'conv9\*'; this network has conv1, conv2, conv3"):
        load(
            NetworkConfig(
                network="chatfield:vgg-f", weights="random", network_args=SMALL_END, layers=("conv1", "conv9*")
            )
        )


def test_a_module_without_a_map() -> None:
    with pytest.raises(RayselError, match="'encoder' has no single output that is a map or a vector"):
        load(NetworkConfig(network="torchvision:vit_b_32", weights="random", layers=("encoder",)))


def test_tracing_does_not_change_torchs_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load(NetworkConfig(network="chatfield:vgg-f", weights="random", network_args=SMALL_END))
    assert torch.equal(torch.rand(3), expected)
