"""What operations do with each number by itself, as expressions of C."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._ops import OpOverload

aten = torch.ops.aten
TYPES = {torch.float32: "float", torch.float64: "double", torch.bool: "unsigned char"}
"""Types of tensors that expressions can read and write."""

Formula = Callable[..., str]
"""The expression for a result from those of the arguments, and from `kind`, the type that is reckoned in."""


def literal(value: bool | int | float, kind: str) -> str:
    """A number as it stands in a program: rounded to the type once, as torch does."""
    if isinstance(value, bool):
        return str(int(value))
    if math.isnan(value):
        return f"({kind})NAN"
    if math.isinf(value):
        return f"({kind}){'-' if value < 0 else ''}INFINITY"
    return f"({kind}){float(value).hex()}"


def suffixed(function: str, kind: str) -> str:
    """A function of C's library for this type."""
    return function + ("f" if kind == "float" else "")


def fma(a: str, b: str, c: str, kind: str) -> str:
    """a · b + c, rounded once: torch's vectorised forms of the operations that use this do so."""
    return f"{suffixed('fma', kind)}({a}, {b}, {c})"


def interpolated(a: str, b: str, weight: str, *, kind: str) -> str:
    """a + weight · (b - a), from the nearer end."""
    near = fma(weight, f"({b} - {a})", a, kind)
    far = fma(f"({weight} - 1)", f"({b} - {a})", b, kind)
    return f"({suffixed('fabs', kind)}({weight}) < ({kind})0.5 ? {near} : {far})"


def clamped(a: str, low: str = "", high: str = "", *, kind: str) -> str:
    """a within bounds; nan stays nan."""
    floor = f"({a} < {low} ? {low} : {a})" if low else a
    return f"({floor} > {high} ? {high} : {floor})" if high else floor


def power(a: str, exponent: str, *, kind: str) -> str:
    """a² alone: other powers are left to torch.

    Raises:
        KeyError: another exponent.
    """
    if exponent != literal(2, kind):
        raise KeyError(exponent)
    return f"({a} * {a})"


def largest(a: str, b: str, *, kind: str) -> str:
    """The larger of two; nan where one is."""
    return f"({a} > {b} || {a} != {a} ? {a} : {b})"


def smallest(a: str, b: str, *, kind: str) -> str:
    """The smaller of two; nan where one is."""
    return f"({a} < {b} || {a} != {a} ? {a} : {b})"


def clamped_by_tensors(a: str, low: str = "", high: str = "", *, kind: str) -> str:
    """a within bounds; nan where one of the three is."""
    floor = largest(a, low, kind=kind) if low else a
    return smallest(floor, high, kind=kind) if high else floor


def divided(a: str, b: str, *, kind: str) -> str:
    """a / b as numbers: what is true or false would be divided as an integer, and 0 would end the process."""
    return f"(({kind}){a} / {b})"


def infix(sign: str) -> Formula:
    """Two arguments with a sign of C between them."""
    return lambda a, b, *, kind: f"({a} {sign} {b})"


FORMULAS: Mapping[OpOverload, Formula] = {
    aten.add.Tensor: infix("+"),
    aten.sub.Tensor: infix("-"),
    aten.mul.Tensor: infix("*"),
    aten.div.Tensor: divided,
    aten.div.Scalar: divided,
    aten.rsub.Scalar: lambda a, b, *, kind: f"({b} - {a})",
    aten.neg.default: lambda a, *, kind: f"(-{a})",
    aten.abs.default: lambda a, *, kind: f"{suffixed('fabs', kind)}({a})",
    aten.reciprocal.default: lambda a, *, kind: divided("1", a, kind=kind),
    aten.relu.default: lambda a, *, kind: clamped(a, "0", kind=kind),
    aten.threshold_backward.default: lambda g, a, limit, *, kind: f"({a} <= {limit} ? 0 : {g})",
    aten.sign.default: lambda a, *, kind: f"({kind})(({a} > 0) - ({a} < 0))",
    aten.clamp.default: clamped,
    aten.clamp.Tensor: clamped_by_tensors,
    aten.pow.Tensor_Scalar: power,
    aten.lerp.Scalar: interpolated,
    aten.lerp.Tensor: interpolated,
    aten.addcmul.default: lambda a, b, c, value="1", *, kind: fma(f"({value} * {b})", c, a, kind),
    aten.addcdiv.default: lambda a, b, c, value="1", *, kind: f"({a} + {value} * {b} / {c})",
    aten.maximum.default: largest,
    aten.minimum.default: smallest,
    aten.where.self: lambda c, a, b, *, kind: f"({c} ? {a} : {b})",
    aten.eq.Tensor: infix("=="),
    aten.eq.Scalar: infix("=="),
    aten.ne.Scalar: infix("!="),
    aten.lt.Tensor: infix("<"),
    aten.lt.Scalar: infix("<"),
    aten.le.Scalar: infix("<="),
    aten.gt.Tensor: infix(">"),
    aten.gt.Scalar: infix(">"),
    aten.ge.Scalar: infix(">="),
    aten.isinf.default: lambda a, *, kind: f"({suffixed('fabs', kind)}({a}) == INFINITY)",
    aten.isnan.default: lambda a, *, kind: f"({a} != {a})",
}
"""Operations that a chain may have.

What torch rounds is rounded here, so that a chain gives the bits of its operations. It is tried against them
before it is used, which finds what holds on one machine and not on another. Roots are not among them: torch's
come from a library that rounds one in ten otherwise.
"""


def expression(op: OpOverload[..., Any], args: list[Any], kwargs: dict[str, Any], kind: str) -> str:
    """The expression of a result; arguments are names or numbers.

    Raises:
        KeyError: this operation has none with these arguments.
    """

    def told(one: Any) -> str:
        return one if isinstance(one, str) else "" if one is None else literal(one, kind)

    named = {name: told(one) for name, one in kwargs.items() if one != 1}
    try:
        return FORMULAS[op](*map(told, args), **named, kind=kind)
    except TypeError:
        # Alpha, for one: torch rounds a + alpha · b once where it is vectorised, and twice at a row's end.
        raise KeyError(op) from None
