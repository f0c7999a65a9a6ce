"""Gradient transforms: one file per method, one row per name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainers.naming import look_up
from trainers.transforms.adaclip import adaclip
from trainers.transforms.adagc import adagc
from trainers.transforms.adagn import adagn
from trainers.transforms.agc import agc
from trainers.transforms.autoclip import autoclip
from trainers.transforms.autoscale import autoscale
from trainers.transforms.base import State, Tensors, Transform, build
from trainers.transforms.centralization import centralization
from trainers.transforms.clip_norm import clip_norm
from trainers.transforms.clip_value import clip_value
from trainers.transforms.gradient_stabilizer import gradient_stabilizer
from trainers.transforms.none import none
from trainers.transforms.spam import spam
from trainers.transforms.stable_spam import stable_spam
from trainers.transforms.unit_norm import unit_norm
from trainers.transforms.zclip import zclip
from trainers.transforms.zscore import zscore

TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "none": none,
    "clip_norm": clip_norm,
    "clip_value": clip_value,
    "agc": agc,
    "zclip": zclip,
    "autoclip": autoclip,
    "adagc": adagc,
    "centralization": centralization,
    "zscore": zscore,
    "unit_norm": unit_norm,
    "autoscale": autoscale,
    "gradient_stabilizer": gradient_stabilizer,
    "adagn": adagn,
    "adaclip": adaclip,
    "stable_spam": stable_spam,
    "spam": spam,
}


def make_transform(name: str, **constants: Any) -> Transform:
    """The transform of that name, with its source's constants unless others are given.

    Raises:
        ValueError: unknown name, or a constant out of range.
        TypeError: unknown constant.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("clip_norm", max_norm=10.0)
        >>> params = {"weight": torch.zeros(2), "bias": torch.zeros(1)}
        >>> grads = {"weight": torch.tensor([30.0, 0.0]), "bias": torch.tensor([40.0])}
        >>> state = transform.init(params)
        >>> grads, state = transform.update(grads, state, params)
        >>> grads["weight"], grads["bias"]
        (tensor([6.0000, 0.0000]), tensor([8.0000]))
    """
    return build(name, look_up("transform", name, TRANSFORMS), **constants)


__all__ = ["TRANSFORMS", "State", "Tensors", "Transform", "make_transform"]
