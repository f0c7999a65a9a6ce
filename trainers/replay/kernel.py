"""A chain of operations on each number by itself, as one pass through memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trainers.replay.formulas import TYPES

OUTER = 3
"""Most loops around the innermost one."""


@dataclass(frozen=True)
class Loops:
    """How numbers of several tensors are gone through together, outermost loop first.

    Attributes:
        size: turns of each loop.
        step_X: for each tensor how many of its numbers a turn of each loop goes on.
    """

    size: tuple[int, ...]
    step_X: tuple[tuple[int, ...], ...]

    @property
    def kind(self) -> tuple[int, tuple[int, ...]]:
        """What the text of a program depends on: how many loops, and which tensors stand in the last."""
        return len(self.size), tuple(step[-1] for step in self.step_X)


def loops(shape: Sequence[int], tensors: Sequence[Tensor]) -> Loops | None:
    """Loops over a shape in the order of the last tensor's memory, as few as there can be.

    Returns:
        None where a tensor jumps in the innermost loop, or there would be more than `OUTER` around it.
    """
    each = [tensor.expand(shape).stride() for tensor in tensors]
    order = sorted((dim for dim, n in enumerate(shape) if n != 1), key=lambda dim: -each[-1][dim])
    size: list[int] = []
    steps: list[list[int]] = [[] for _ in tensors]
    for dim in order:
        inner = [stride[dim] for stride in each]
        if size and all(step[-1] == one * shape[dim] for step, one in zip(steps, inner, strict=True)):
            size[-1] *= shape[dim]
            for step, one in zip(steps, inner, strict=True):
                step[-1] = one
        else:
            size.append(shape[dim])
            for step, one in zip(steps, inner, strict=True):
                step.append(one)
    if not size:
        size, steps = [1], [[0] for _ in tensors]
    if len(size) > OUTER + 1 or any(step[-1] not in (0, 1) for step in steps):
        return None
    return Loops(tuple(size), tuple(tuple(step) for step in steps))


def whole(names: Mapping[str, str]) -> str:
    """The text of a program with these functions, each under its name."""
    return "#include <math.h>\n" + "".join(text.replace("NAME", name, 1) for text, name in names.items())


def function(
    way: Loops,
    inputs: Sequence[torch.dtype],
    outputs: Sequence[torch.dtype],
    lines: Sequence[str],
    results: Sequence[str],
) -> str:
    """The text of a chain in C, with NAME for its name.

    Args:
        lines: declarations of the results, in order, from `x0`, `x1`, … for the inputs.
        results: the names of those that are written.
    """
    deep, last = len(way.size), len(way.size) - 1
    text = ["void NAME(char **t, const long *size, const long *step) {"]
    text += [f"for (long i{k} = 0; i{k} < size[{k}]; i{k}++) {{" for k in range(last)]
    for k, dtype in enumerate([*inputs, *outputs]):
        place = " + ".join(["0", *(f"i{d} * step[{k * deep + d}]" for d in range(last))])
        const = "const " if k < len(inputs) else ""
        text.append(f"{const}{TYPES[dtype]} *p{k} = ({const}{TYPES[dtype]} *)t[{k}] + {place};")
    still = [k for k in range(len(inputs)) if way.step_X[k][-1] == 0]
    text += [f"const {TYPES[inputs[k]]} x{k} = *p{k};" for k in still]
    # Where a result replaces an argument, each number is read before it is written.
    text += ["#if defined(__clang__)", "#pragma clang loop vectorize(assume_safety)", "#else"]
    text += ["#pragma GCC ivdep", "#endif", f"for (long j = 0; j < size[{last}]; j++) {{"]
    text += [f"const {TYPES[inputs[k]]} x{k} = p{k}[j];" for k in range(len(inputs)) if k not in still]
    text += lines
    text += [f"p{len(inputs) + k}[j] = {name};" for k, name in enumerate(results)]
    return "\n".join([*text, "}" * (last + 2), ""])


class StandsOtherwiseError(Exception):
    """A chain's tensors stand otherwise than those that it was written for."""


@dataclass(frozen=True, eq=False)
class Chained:
    """A chain of operations that was compiled, in the place of an operation.

    Attributes:
        function: of a loaded program.
        shape: of its results.
        kind: `Loops.kind` of the tensors that it was written for.
    """

    function: Any
    shape: tuple[int, ...]
    kind: tuple[int, tuple[int, ...]]

    def __call__(self, *tensors: Tensor) -> None:
        """Run it on these inputs and outputs."""
        self.bind(*tensors)()

    def bind(self, *tensors: Tensor) -> Callable[[], object]:
        """The chain on tensors that stay where they are.

        Raises:
            StandsOtherwiseError: they stand otherwise than those that it was written for.
        """
        way = loops(self.shape, tensors)
        if way is None or way.kind != self.kind:
            raise StandsOtherwiseError
        places = (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
        size = (ctypes.c_long * len(way.size))(*way.size)
        steps = [step for tensor in way.step_X for step in tensor]
        self.function.restype = None
        ready = partial(self.function, places, size, (ctypes.c_long * len(steps))(*steps))
        ready.__dict__["kept"] = tensors  # alive as long as they may be written to
        return ready
