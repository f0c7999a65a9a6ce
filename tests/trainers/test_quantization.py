"""Formats of quantization hold what their definitions say, value by value."""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from trainers.quantization import QUANTIZATIONS
from trainers.quantization.e2m1 import e2m1, microscaling, two_scales
from trainers.quantization.integers import fifteen_levels, rows, with_zero_point
from trainers.quantization.stable_spam import nine_levels

# By sign, exponent and mantissa: no exponent means m/2, any other (1 + m/2) · 2^(e - 1).
E2M1 = [m / 2 if e == 0 else (1 + m / 2) * 2.0 ** (e - 1) for e in range(4) for m in range(2)]
E4M3 = [(m / 8 if e == 0 else 1 + m / 8) * 2.0 ** (max(e, 1) - 7) for e in range(16) for m in range(8)][:-1]
"""The last pattern of E4M3 is NaN."""


def nearest(table: list[float], value: float) -> int:
    """The place in a table of the entry that is nearest; of two that are, the even one."""
    gaps = [abs(entry - value) for entry in table]
    return min(range(len(table)), key=lambda at: (gaps[at], at % 2))


def signed(table: list[float], value: float) -> float:
    """The same for numbers of either sign; beyond the table is its last entry."""
    return math.copysign(table[nearest(table, min(abs(value), table[-1]))], value)


def mx(block: list[float]) -> list[float]:
    """A block of 32 in MXFP4, by its definition."""
    largest = max(map(abs, block))
    scale = 2.0 ** (math.floor(math.log2(largest)) - 2) if largest else 1.0
    return [signed(E2M1, value / scale) * scale for value in block]


def nv(blocks: list[list[float]]) -> list[list[float]]:
    """A whole tensor, in blocks of 16, in NVFP4, by its definition."""
    whole = max(abs(value) for block in blocks for value in block) / (448 * 6) or 1.0
    found = []
    for block in blocks:
        scale = max(map(abs, block)) / 6 / whole
        scale = signed(E4M3, min(max(scale, 2.0**-6), 448.0)) * whole
        found.append([signed(E2M1, value / scale) * scale for value in block])
    return found


def official_fp4(group: list[float]) -> list[float]:
    """A group of 256 as the code of Stable-SPAM treats it, with the exponents that it computes."""
    e, m, b = 1, 2, 1
    order = sorted(range(len(group)), key=lambda at: -abs(group[at]))
    kept = set(order[:2])
    rest = [0.0 if at in kept else value for at, value in enumerate(group)]
    alpha = max(max(map(abs, rest)), 1e-6)
    b_hat = 2**e - math.log2(alpha) + math.log2(2 - 2**-m) - 1
    found = []
    for at, value in enumerate(rest):
        log_v = math.floor(math.log2(abs(value) + 1e-8) + b_hat)
        step = alpha * 2**-b * 2.0 ** max(log_v - m, 1 - m)
        found.append(group[at] if at in kept else step * round(value / step))
    return found


def symmetric_int4(group: list[float]) -> list[float]:
    """A group of 256 activations of the four-bit layers of Stable-SPAM."""
    kept = set(sorted(range(len(group)), key=lambda at: -abs(group[at]))[:2])
    scale = max(1e-6, *(abs(value) for at, value in enumerate(group) if at not in kept))
    return [
        value if at in kept else max(-8, min(7, round(value * (7 / scale)))) * scale / 7
        for at, value in enumerate(group)
    ]


def asymmetric_int4(group: list[float]) -> list[float]:
    """A group of 256 weights of the same layers."""
    scale = max(max(group) - min(group), 1e-5) / 15
    zero = max(0, min(15, -round(min(group) / scale)))
    return [(max(0, min(15, round(value / scale) + zero)) - zero) * scale for value in group]


def int8(row: list[float]) -> list[float]:
    """A row of integers from -127 to 127."""
    scale = max(map(abs, row)) / 127 or 1.0
    return [round(value / scale) * scale for value in row]


def by_group(rule: Callable[[list[float]], list[float]], size: int) -> Callable[[Tensor], Tensor]:
    """A rule of lists, for consecutive values of a tensor."""

    def of(x: Tensor) -> Tensor:
        return torch.tensor([rule(part) for part in x.reshape(-1, size).tolist()], dtype=x.dtype).view_as(x)

    return of


def nv_of(x: Tensor) -> Tensor:
    return torch.tensor(nv(x.reshape(-1, 16).tolist()), dtype=x.dtype).view_as(x)


RULES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "fp4_stable_spam": (nine_levels, by_group(official_fp4, 256)),
    "fp4_e2m1": (microscaling, by_group(mx, 32)),
    "nvfp4": (two_scales, nv_of),
    "int4 weights": (with_zero_point, by_group(asymmetric_int4, 256)),
    "int4 activations": (fifteen_levels, by_group(symmetric_int4, 256)),
    "int8": (rows, by_group(int8, 256)),
}
"""Each rule with its definition, in plain Python."""
every_rule = pytest.mark.parametrize("name", RULES)


def contents(kind: str) -> Tensor:
    """Four rows of 256 numbers in float64."""
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(4, 256, generator=generator, dtype=torch.float64)
    return {
        "normal": normal,
        "of many sizes": normal * torch.logspace(-4, 4, 256, dtype=torch.float64),
        "with outliers": normal + 1e3 * (torch.arange(256) % 100 == 7),
        "positive": normal.abs() + 3,
        "one of zeros": normal * torch.tensor([1.0, 0.0, 1.0, 1.0])[:, None],
        "zeros": torch.zeros_like(normal),
        "all equal": torch.full_like(normal, -0.75),
        "half zeros": normal.relu(),
    }[kind]


KINDS = (
    "normal", "of many sizes", "with outliers", "positive",
    "one of zeros", "zeros", "all equal", "half zeros",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@every_rule
def test_a_rule_is_its_definition(name: str, kind: str) -> None:
    """Every value is what the formula gives for it, in loops of plain Python."""
    rule, definition = RULES[name]
    x = contents(kind)
    torch.testing.assert_close(rule(x), definition(x), rtol=1e-12, atol=0)


def test_e2m1_has_its_sixteen_values() -> None:
    """Each value is itself, what lies between goes to the nearest one, and ties to the even mantissa."""
    assert E2M1 == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    table = torch.tensor(E2M1)
    assert torch.equal(e2m1(table), table)
    assert torch.equal(e2m1(-table), -table)
    for at, (low, high) in enumerate(pairwise(E2M1)):
        middle = torch.tensor((low + high) / 2)
        assert e2m1(middle) == (low if at % 2 == 0 else high)
        assert e2m1(torch.nextafter(middle, torch.tensor(-9.0))) == low
        assert e2m1(torch.nextafter(middle, torch.tensor(9.0))) == high
    assert e2m1(torch.tensor([7.0, 1e30, -torch.inf, torch.nan])).tolist() == pytest.approx(
        [6, 6, -6, torch.nan], nan_ok=True
    )


@pytest.mark.parametrize(
    ("name", "levels", "step"),
    [("fp4_stable_spam", 4, 0.25), ("int4 activations", 7, 1 / 7), ("int8", 127, 1 / 127)],
)
def test_uniform_grids_have_their_levels(name: str, levels: int, step: float) -> None:
    """Of a fine ramp exactly the levels from -k to k are left, each with the values nearest to it."""
    ramp = torch.linspace(-1, 1, 254, dtype=torch.float64)
    x = torch.cat([ramp, torch.tensor([1.0, -1.0])])[None]  # the two that are kept are levels as well
    found = RULES[name][0](x)
    assert set(found.div(step).round().flatten().int().tolist()) <= set(range(-levels, levels + 1))
    if levels < 100:
        assert len(found.unique()) == 2 * levels + 1
    assert (found - x).abs().max() <= step / 2 + 1e-12
    torch.testing.assert_close(found / step, (found / step).round(), rtol=0, atol=1e-9)


def test_int4_has_sixteen_levels_and_zero_is_one() -> None:
    """From the least to the largest value of a group."""
    x = torch.linspace(-1, 2, 256, dtype=torch.float64)[None]
    found = with_zero_point(x)
    assert len(found.unique()) == 16
    assert 0.0 in found
    assert (found - x).abs().max() <= 0.1 + 1e-12


def test_ties_go_to_the_even_level() -> None:
    """A value half way between two levels of a uniform grid goes to the even one."""
    x = torch.zeros(1, 256, dtype=torch.float64)
    x[0, :3] = 4.0
    x[0, 3:7] = torch.tensor([0.5, 1.5, 2.5, -3.5], dtype=torch.float64)
    assert nine_levels(x)[0, 3:7].tolist() == [0, 2, 2, -4]
    x[0, :3] = 7.0
    assert fifteen_levels(x)[0, 3:7].tolist() == [0, 2, 2, -4]
    x[0, :3] = 127.0
    assert rows(x)[0, 3:7].tolist() == [0, 2, 2, -4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_rule
def test_what_is_on_the_grid_stays(name: str, dtype: torch.dtype) -> None:
    """Quantising twice is quantising once, up to rounding, and keeps kind and shape."""
    rule, _ = RULES[name]
    once = rule(contents("of many sizes").to(dtype))
    assert (once.dtype, once.shape) == (dtype, (4, 256))
    torch.testing.assert_close(rule(once), once, rtol=1e-5, atol=1e-5 * float(once.abs().max()))


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
@every_rule
def test_what_is_not_finite_is_seen(name: str, broken: float) -> None:
    """An infinity or a NaN is never rounded to a number, and no other group hears of it, but in NVFP4."""
    x = contents("normal")
    x[1, 5] = broken
    found = RULES[name][0](x)
    assert not found[1, 5].isfinite()
    whole = name == "nvfp4"
    assert found[[0, 2, 3]].isfinite().any() != whole
    assert found[[0, 2, 3]].isfinite().all() != whole


@pytest.mark.parametrize("size", [1, 2, 3, 31, 40, 255, 300])
@every_rule
def test_a_group_that_is_not_full_has_zeros(name: str, size: int) -> None:
    """The last group of a tensor, or the last block of each row, is what it is with zeros behind it."""
    rule, _ = RULES[name]
    x = contents("normal").flatten()[:size][None]
    padded = torch.cat([x, torch.zeros(1, 512 - size, dtype=x.dtype)], 1)
    assert torch.equal(rule(x), rule(padded)[:, :size])


@every_rule
def test_vectorised_over_cells_it_is_the_same(name: str) -> None:
    """Cells keep groups and scales of their own."""
    rule, _ = RULES[name]
    cells = torch.stack([contents(kind) for kind in KINDS])
    assert torch.equal(torch.vmap(rule)(cells), torch.stack([rule(cell) for cell in cells]))


def test_each_scheme_is_tested() -> None:
    """The rules above are those of the table."""
    used = {
        rule for scheme in QUANTIZATIONS.values() if scheme for rule in (scheme.weight, scheme.activation)
    }
    assert used == {rule for rule, _ in RULES.values()}


@pytest.fixture(scope="module")
def torchao() -> Any:
    """The library's formats; what it warns of while it is imported is about its own kernels for GPUs."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in ("mx_formats.kernels", "mx_formats.nvfp4_tensor", "quantized_training.int8"):
                import_module(f"torchao.prototype.{name}")
    finally:
        logging.disable(before)
    return sys.modules


def test_e2m1_is_torchaos_for_every_half(torchao: Any) -> None:
    """For every number of bfloat16 and every one of float16, infinities too, bit by bit."""
    kernels = torchao["torchao.prototype.mx_formats.kernels"]
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    for kind in (torch.bfloat16, torch.float16):
        x = patterns.view(kind).float()
        x = x[~x.isnan()]
        assert torch.equal(e2m1(x), kernels.f4_unpacked_to_f32(kernels.f32_to_f4_unpacked(x)))


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_torchaos(kind: str, torchao: Any) -> None:
    """MXFP4, NVFP4 with its scale per tensor, and rows of int8, bit by bit in float32."""
    mx_tensor, nv_tensor = (
        torchao[f"torchao.prototype.mx_formats.{name}"] for name in ("mx_tensor", "nvfp4_tensor")
    )
    x = contents(kind).float()
    floor = mx_tensor.ScaleCalculationMode.FLOOR
    theirs = mx_tensor.MXTensor.to_mx(x, torch.float4_e2m1fn_x2, 32, floor)
    assert torch.equal(microscaling(x), theirs.dequantize(torch.float32))
    if x.any():  # of a tensor of zeros torchao's scale is zero, and its result NaN
        whole = nv_tensor.per_tensor_amax_to_scale(x.abs().max())
        theirs = nv_tensor.NVFP4Tensor.to_nvfp4(x, per_tensor_scale=whole)
        assert torch.equal(two_scales(x), theirs.dequantize(torch.float32))
    levels, scale = torchao["torchao.prototype.quantized_training.int8"].quantize_int8_rowwise(x)
    torch.testing.assert_close(rows(x), levels.float() * scale[:, None], rtol=1e-6, atol=0)
