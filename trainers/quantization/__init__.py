"""Quantization-aware training: low-precision formats for linear layers, one row per name.

Nothing here imports torch, so that a budget's names can be checked without waiting for it. The layers are in
`trainers.quantization.layers`.
"""

from __future__ import annotations

from trainers.quantization.base import Scheme
from trainers.quantization.e2m1 import MX, NV
from trainers.quantization.integers import INT4, INT8
from trainers.quantization.stable_spam import STABLE_SPAM

QUANTIZATIONS: dict[str, Scheme | None] = {
    "none": None,
    "fp4_stable_spam": STABLE_SPAM,
    "fp4_e2m1": MX,
    "nvfp4": NV,
    "int4": INT4,
    "int8": INT8,
}
"""By name; None leaves networks as they are."""

__all__ = ["QUANTIZATIONS", "Scheme"]
