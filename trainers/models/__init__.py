"""Models: factories `(shape of an example, number of outputs, **constants) -> Module`, one row per name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from trainers.models.convnet import convnet
from trainers.models.convnext import convnext_tiny
from trainers.models.dlinear import dlinear
from trainers.models.linear import linear
from trainers.models.llama import llama
from trainers.models.mlp import mlp
from trainers.models.nlinear import nlinear
from trainers.models.patchtst import patchtst
from trainers.models.resnet import resnet20, resnet56
from trainers.models.resnet50 import resnet50
from trainers.models.vgg import vgg16_bn
from trainers.models.vit import vit, vit_b_16
from trainers.naming import check_keywords, look_up

MODELS: dict[str, Callable[..., nn.Module]] = {
    "linear": linear,
    "mlp": mlp,
    "convnet": convnet,
    "resnet20": resnet20,
    "resnet56": resnet56,
    "vgg16_bn": vgg16_bn,
    "vit": vit,
    "resnet50": resnet50,
    "convnext_tiny": convnext_tiny,
    "vit_b_16": vit_b_16,
    "llama": llama,
    "dlinear": dlinear,
    "nlinear": nlinear,
    "patchtst": patchtst,
}


def model_factory(name: str, **constants: Any) -> Callable[[tuple[int, ...], int], nn.Module]:
    """A function that builds an untrained network of that name from torch's global generator.

    Raises:
        ValueError: unknown name. TypeError: unknown constant.
    """
    factory = look_up("model", name, MODELS)
    check_keywords(f"model {name!r}", constants, inspect.signature(factory), skip=2)
    return lambda shape, outputs: factory(shape, outputs, **constants)


__all__ = ["MODELS", "model_factory"]
