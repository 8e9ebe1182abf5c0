"""A network with its output layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.network import Classifier, load


def test_scores_are_what_the_module_computes(tmp_path: Path) -> None:
    plain, weights = torchvision.models.squeezenet1_1(weights=None).eval(), str(tmp_path / "weights.safetensors")
    save_file(plain.state_dict(), weights)
    config = NetworkConfig(network="torchvision:squeezenet1_1", weights=weights)
    classifier = Classifier(config)
    assert classifier.outputs == 1000
    assert classifier.weights_digest == load(config).weights_digest
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    inputs = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.no_grad():
        expected = plain(torch.from_numpy(inputs).permute(0, 3, 1, 2).float())
    assert torch.allclose(classifier.scores(torch.from_numpy(pixels)), expected, atol=1e-4)
    assert expected.std() > 0.01


class Answers(nn.Module):
    """Returns its means of color in one of several forms."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.conv, self.form = nn.Conv2d(3, 3, 1), form

    def forward(self, x: torch.Tensor) -> object:
        means = self.conv(x).mean(dim=(2, 3))
        forms = {"map": means[:, :, None, None], "tuple": (means, x), "features": self.conv(x), "none": None}
        return forms[self.form]


def answers(form: str) -> nn.Module:
    return Answers(form)


@pytest.mark.parametrize("form", ["map", "tuple"])
def test_forms_of_output(form: str) -> None:
    assert Classifier(NetworkConfig(network=f"{__name__}:answers", network_args={"form": form})).outputs == 3


@pytest.mark.parametrize(("form", "shown"), [("features", r"\[2, 3, 224, 224\]"), ("none", "NoneType")])
def test_what_is_not_a_classifier_is_one_line(form: str, shown: str) -> None:
    with pytest.raises(RayselError, match=f"is not a classifier: it returns {shown}"):
        Classifier(NetworkConfig(network=f"{__name__}:answers", network_args={"form": form}))
