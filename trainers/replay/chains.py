"""Chains: operations of a tape that work on each number by itself, put together into one pass through memory.

An optimizer is a dozen such operations on every weight. One after another, each reads and writes the weights
of all cells, which are larger than the processor's cache. One compiled pass takes a seventh of the time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._pytree import tree_map_only

from trainers.replay.compiler import loaded
from trainers.replay.forms import changes
from trainers.replay.formulas import FORMULAS, TYPES, expression
from trainers.replay.kernel import Chained, StandsOtherwiseError, function, loops, whole
from trainers.replay.tape import Call, Place, Tape, numbers

OF_A_CALL, OF_A_NUMBER = 2.5e-6, 2.5e-10
"""What a chain saves for each operation but one: once, and for each of its numbers [s].

Measured with AdamW on one core of an AMD EPYC: 262,144 weights took 750 µs in ten operations, and 105 in one.
"""
TINY = {torch.float32: 1e-40, torch.float64: 1e-310}
"""Numbers that training flushes to 0, and that an operation without effect would keep."""
TRIALS = 2
"""How often a chain is tried against its operations: with numbers of either sign, and with none below 0."""
_agreed: dict[tuple[Any, ...], bool] = {}
"""What was found for operations and how their tensors stand: every tile of a study would try them again."""


@dataclass(eq=False)
class Chain:
    """Operations that may become one.

    Attributes:
        at: their places on the tape.
        closed: another operation needs a result of theirs, so that no later one can join.
    """

    at: list[int] = field(default_factory=list)
    closed: bool = False


@dataclass(frozen=True, eq=False)
class Draft:
    """A chain that could be compiled.

    Attributes:
        at: places of its operations on the tape.
        given, read: numbers of its arguments, and of those results that others read.
        text: its function in C.
        shape, kind: see `Chained`.
    """

    tape: Tape
    at: list[int]
    given: list[int]
    read: list[int]
    text: str
    shape: tuple[int, ...]
    kind: tuple[int, tuple[int, ...]]

    @property
    def saves(self) -> float:
        """What it saves when it is done once [s]."""
        each = self.tape.tensors[self.read[-1]].numel() * OF_A_NUMBER
        # A chain has one thread.
        return (len(self.at) - 1) * (OF_A_CALL + each / torch.get_num_threads())

    def agrees(self, kernel: Chained) -> bool:
        """Whether it gives the bits of its operations, for drawn numbers with inf and nan among them."""
        stand = tuple(
            (t.shape, t.stride()) for t in map(self.tape.tensors.__getitem__, (*self.given, *self.read))
        )
        said = tuple(
            str((call.op, call.args, call.kwargs)) for call in map(self.tape.calls.__getitem__, self.at)
        )
        if (known := _agreed.get((self.text, said, stand))) is None:
            known = _agreed[self.text, said, stand] = all(
                self._agrees(kernel, trial) for trial in range(TRIALS)
            )
        return known

    def _agrees(self, kernel: Chained, trial: int) -> bool:
        tensors, generator = self.tape.tensors, torch.Generator().manual_seed(trial)
        values = {n: drawn(tensors[n], generator, positive=trial > 0) for n in self.given}
        likes = [tensors[n] for n in self.read]
        outs = [torch.empty_strided(like.shape, like.stride(), dtype=like.dtype) for like in likes]
        try:
            kernel(*(values[n] for n in self.given), *outs)
        except StandsOtherwiseError:
            return False
        for call in (self.tape.calls[at] for at in self.at):
            assert isinstance(call.op, OpOverload)
            filled = tree_map_only(Place, lambda place: values[place.number], (call.args, dict(call.kwargs)))
            values[call.result.number] = call.op(*filled[0], **filled[1])
        return all(equal(out, values[n]) for out, n in zip(outs, self.read, strict=True))


def chained(tape: Tape, needed: Collection[int], repeats: int) -> list[Call]:
    """The operations of a tape with chains in the place of those that they are made of.

    Args:
        needed: results that are read when all is done.
        repeats: how often it will be done: compiling has to pay.
    """
    readers: dict[int, list[int]] = {}
    for at, call in enumerate(tape.calls):
        for number in numbers((call.args, call.kwargs)):
            readers.setdefault(number, []).append(at)
    drafts = [one for chain in found(tape) if (one := draft(tape, chain.at, readers, needed)) is not None]
    names = {text: f"chain{k}" for k, text in enumerate(dict.fromkeys(one.text for one in drafts))}
    library = loaded(whole(names), saves=repeats * sum(one.saves for one in drafts)) if drafts else None
    if library is None:
        return tape.calls
    instead: dict[int, Call] = {}
    gone: set[int] = set()
    for one in drafts:
        kernel = Chained(getattr(library, names[one.text]), one.shape, one.kind)
        if one.agrees(kernel):
            instead[one.at[-1]] = Call(kernel, tuple(map(Place, one.given)), {}, tuple(map(Place, one.read)))
            gone.update(one.at)
    return [instead.get(at, call) for at, call in enumerate(tape.calls) if at in instead or at not in gone]


def found(tape: Tape) -> Iterable[Chain]:
    """The longest chains. Each is done where its last operation was, and nothing before needs its results."""
    of: dict[int, Chain] = {}
    every: dict[int, Chain] = {}
    for at, call in enumerate(tape.calls):
        reads = of.keys() & set(numbers((call.args, call.kwargs)))
        if changes(call.op):
            # What it changes may be read by operations before it, which may not come after it now.
            for chain in every.values():
                chain.closed = True
        if not fits(tape, call):
            for number in reads:
                of[number].closed = True
            continue
        mine = Chain([at])
        for number in reads:
            other = of[number]
            if other is mine:
                continue
            if other.closed or not together(tape, other.at[0], at):
                other.closed = True
                continue
            del every[id(other)]
            mine.at = sorted(mine.at + other.at)
            of |= {tape.calls[place].result.number: mine for place in other.at}
        every[id(mine)] = mine
        of[call.result.number] = mine
    return every.values()


def together(tape: Tape, first: int, second: int) -> bool:
    """Whether two operations' results stand in one order, and have one type or are true or false."""
    a, b = (tape.tensors[tape.calls[at].result.number] for at in (first, second))
    return a.shape == b.shape and a.stride() == b.stride() and len({a.dtype, b.dtype} - {torch.bool}) < 2


def fits(tape: Tape, call: Call) -> bool:
    """Whether an operation can be a part of a chain."""
    if call.op not in FORMULAS or not isinstance(call.result, Place):
        return False
    result = tape.tensors[call.result.number]
    given = [tape.tensors[n] for n in numbers((call.args, call.kwargs))]
    floats = {tensor.dtype for tensor in (*given, result)} - {torch.bool}
    if len(floats) != 1 or not floats <= set(TYPES) or result.device.type != "cpu":
        return False
    try:
        line(tape, call, dict.fromkeys((*numbers((call.args, call.kwargs)), call.result.number), "x"))
    except KeyError:
        return False
    return True


def draft(
    tape: Tape, at: list[int], readers: Mapping[int, list[int]], needed: Collection[int]
) -> Draft | None:
    """A chain's function; None where it cannot be one.

    Args:
        readers: places of the operations that read each result.
    """
    calls = [tape.calls[place] for place in at]
    own = {call.result.number: f"v{k}" for k, call in enumerate(calls)}
    read = [n for n in own if n in needed or not set(at).issuperset(readers.get(n, ()))]
    if len(calls) < 2 or not read:
        return None
    given = sorted({n for call in calls for n in numbers((call.args, call.kwargs))} - own.keys())
    inputs, results = [tape.tensors[n] for n in given], [tape.tensors[n] for n in read]
    shape = tuple(results[-1].shape)
    way = loops(shape, [*inputs, *results])
    names = own | {n: f"x{k}" for k, n in enumerate(given)}
    if way is None:
        return None
    lines = [line(tape, call, names) for call in calls]
    text = function(way, [t.dtype for t in inputs], [t.dtype for t in results], lines, [own[n] for n in read])
    return Draft(tape, at, given, read, text, shape, way.kind)


def line(tape: Tape, call: Call, names: Mapping[int, str]) -> str:
    """The declaration of a result.

    Raises:
        KeyError: there is no formula for these arguments.
    """
    result = tape.tensors[call.result.number]
    given = [tape.tensors[n].dtype for n in numbers((call.args, call.kwargs))]
    kind = next(TYPES[dtype] for dtype in (result.dtype, *given) if dtype != torch.bool)
    args, kwargs = tree_map_only(
        Place, lambda place: names[place.number], (list(call.args), dict(call.kwargs))
    )
    assert isinstance(call.op, OpOverload)
    told = expression(call.op, args, kwargs, kind)
    return f"const {'int' if result.dtype == torch.bool else kind} {names[call.result.number]} = {told};"


def equal(a: Tensor, b: Tensor) -> bool:
    """Whether all bits are equal; nan is nan, and 0 is not -0."""
    if a.dtype == torch.bool:
        return torch.equal(a, b)
    both = torch.isnan(a) & torch.isnan(b)
    return bool((((a == b) & (torch.signbit(a) == torch.signbit(b))) | both).all())


def drawn(like: Tensor, generator: torch.Generator, *, positive: bool) -> Tensor:
    """Numbers that stand as these do."""
    size = [n if step else 1 for n, step in zip(like.shape, like.stride(), strict=True)]
    value = torch.empty_strided(size, like.stride(), dtype=like.dtype)
    if like.dtype == torch.bool:
        return value.random_(0, 2, generator=generator).expand(like.shape)
    value.normal_(generator=generator)
    if positive:
        value.abs_()
    odd = torch.rand(size, generator=generator) < 0.02
    special = torch.tensor(
        [0.0, -0.0, 1.0, torch.inf, -torch.inf, torch.nan, 1e-30, 1e30, TINY[like.dtype]], dtype=like.dtype
    )
    which = torch.randint(len(special), tuple(size), generator=generator)
    return torch.where(odd, special[which], value, out=value).expand(like.shape)
