"""Where each tensor of a tape stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from trainers.replay.bound import Bound
from trainers.replay.forms import INTO, SHAPE_ALONE, aten, changes, copied, draws, is_view, quick, writing
from trainers.replay.kernel import Chained
from trainers.replay.memory import Memory, alike
from trainers.replay.tape import Call, Place, Tape, numbers

SMALL = 65_536
"""Results up to this size are copied to their memory where they cannot be written there [bytes].

A larger one is left where its operation puts it, and so are views and in-place changes of it.
"""


class CannotReplayError(Exception):
    """A tape has an operation that cannot be repeated."""


class Layout:
    """Where each tensor of a tape stands.

    A tensor has memory of its own, or is a part of another one's, or is fresh: made anew each time, where an
    operation has no form that writes into given memory, and so are the views of such a tensor.

    Args:
        tape, state, given, kept: see `Replay`.
    """

    def __init__(
        self,
        tape: Tape,
        state: Sequence[tuple[Tensor, Tensor]],
        given: Sequence[Tensor],
        kept: Sequence[Tensor],
    ) -> None:
        self._memory = Memory()
        self._tape = tape
        self._values: dict[int, Tensor] = {}
        self._state = [(tape.place(old).number, tape.place(new).number) for old, new in state]
        self._varying = {old for old, _ in self._state} | {tape.place(one).number for one in given}
        self._root = self._roots()
        self._last = self._last_uses([tape.place(one).number for one in kept])
        self._slots = {
            new: old for old, new in self._state if new == self._root[new] and new not in self._varying
        }
        self._fresh: set[int] = set()
        self._own: dict[int, Tensor] = {}
        self._taken: set[int] = set()
        for number in sorted(self._varying):
            self._values[number] = tape.tensors[number].detach().clone(memory_format=torch.preserve_format)

    def value(self, place: Place) -> Tensor:
        """The tensor that stands for one of the tape.

        Raises:
            CannotReplayError: it has another place each time.
        """
        if place.number not in self._values:
            raise CannotReplayError("a result has no place of its own")
        return self._values[place.number]

    def _roots(self) -> list[int]:
        """For each tensor the one whose memory it is a part of."""
        root = list(range(len(self._tape.tensors)))
        for call in self._tape.calls:
            refuse(call)
            if is_view(call.op) or changes(call.op):
                first = next(iter(numbers(call.args)))
                for number in numbers(call.result):
                    root[number] = root[first]
        return root

    def _last_uses(self, kept: Iterable[int]) -> dict[int, int]:
        """For each piece of memory the last operation that reads or changes it."""
        last: dict[int, int] = {}
        calls = self._tape.calls
        for at, call in enumerate(calls):
            for number in (*numbers(call.args), *numbers(call.kwargs), *numbers(call.result)):
                last[self._root[number]] = at
        for number in (*kept, *(new for _, new in self._state)):
            last[self._root[number]] = len(calls)
        if len({old for old, _ in self._state}) < len(self._state):
            raise CannotReplayError("two parts of the state are one tensor")
        for old, new in self._state:
            if old != new and self._root[new] in self._varying and self._root[new] != old:
                raise CannotReplayError("a part of the state becomes another one")
            before, after = self._tape.tensors[old], self._tape.tensors[new]
            if (before.dtype, before.shape) != (after.dtype, after.shape):
                raise CannotReplayError("a part of the state changes its kind or shape")
        return last

    def bound(self) -> Iterator[Bound]:
        """The operations with their arguments in their places."""
        tape, self._changed = self._tape, self._mutated()
        ends: dict[int, list[int]] = {}
        for number, at in self._last.items():
            ends.setdefault(at, []).append(number)
        parts: dict[int, list[int]] = {}
        for number, root in enumerate(self._root):
            parts.setdefault(root, []).append(number)
        for at, call in enumerate(tape.calls):
            over = ends.get(at, ())
            yield from self._one(at, call, [part for number in over for part in parts[number]])
            for number in over:
                if number in self._own:
                    self._memory.give(self._own.pop(number))
        for old, new in self._state:
            if new in self._fresh:
                yield Bound(aten.copy_.default, (self._values[old], Place(new)), {}, over=(new,))
                continue
            value = self._values.setdefault(new, tape.tensors[new])
            if value.data_ptr() != self._values[old].data_ptr():
                yield Bound(aten.copy_.default, (self._values[old], value), {})

    def _mutated(self) -> set[int]:
        """Memory that some operation changes."""
        return {self._root[next(iter(numbers(call.args)))] for call in self._tape.calls if changes(call.op)}

    def _one(self, at: int, call: Call, ends: Sequence[int]) -> Iterator[Bound]:
        """An operation that is repeated; none for a view, or a result that is always the same.

        Args:
            ends: tensors that are not needed after it.
        """
        op, inputs, results = call.op, numbers((call.args, call.kwargs)), numbers(call.result)
        for number in inputs:
            if number not in self._fresh:
                # What stands nowhere is a constant from outside.
                self._values.setdefault(number, self._tape.tensors[number])
        args, kwargs = tree_map_only(Place, self._standing, (call.args, call.kwargs))
        fresh = not self._fresh.isdisjoint(inputs)
        over = [number for number in ends if number in self._fresh]
        if isinstance(op, Chained):
            places = [self._room(at, number, inputs) for number in results]
            yield Bound(op, (*args, *places), {}, over=over)
        elif changes(op):
            yield Bound(op, args, kwargs, call.result if fresh else None, over)
            self._same(results, numbers(call.args)[0])
        elif is_view(op):
            op = aten.view.default if op is aten._unsafe_view.default else op
            if fresh:
                self._fresh.update(results)
                yield Bound(op, args, kwargs, call.result, over)
            else:
                self._keep(call.result, op(*args, **kwargs))
        elif self._constant(call, inputs, results):
            self._keep(call.result, tree_map_only(Place, self._example, call.result))
        elif not isinstance(call.result, Place):
            yield Bound(op, args, kwargs, self._several(at, call.result), over)
        elif form := writing(op):
            place = self._room(at, results[0], inputs if torch.Tag.pointwise in op.tags else ())
            yield Bound(*quick(*form, args, {**kwargs, form[1]: place}), over=over)
        elif op in INTO:
            into = inputs if torch.Tag.pointwise in op.tags else ()
            yield Bound(INTO[op], (self._room(at, results[0], into), *args), kwargs, over=over)
        elif self._tape.tensors[call.result.number].nbytes <= SMALL:
            yield Bound(partial(copied, op, self._room(at, results[0], ())), args, kwargs, over=over)
        else:
            self._fresh.update(results)
            yield Bound(op, args, kwargs, call.result, over)

    def _several(self, at: int, result: Any) -> Any:
        """Memory for the small ones of several results, and the places of the others."""

        def room(place: Place) -> Tensor | Place:
            if self._tape.tensors[place.number].nbytes <= SMALL:
                return self._room(at, place.number, ())
            self._fresh.add(place.number)
            return place

        return tree_map_only(Place, room, result)

    def _constant(self, call: Call, inputs: Sequence[int], results: Sequence[int]) -> bool:
        """Whether the result is the same each time, and stays as it is."""
        changed = any(self._root[number] in self._changed for number in results)
        return not changed and not draws(call.op) and (not inputs or call.op in SHAPE_ALONE)

    def _standing(self, place: Place) -> Tensor | Place:
        return place if place.number in self._fresh else self._values[place.number]

    def _example(self, place: Place) -> Tensor:
        return self._tape.tensors[place.number].clone()

    def _same(self, results: Sequence[int], first: int) -> None:
        """The results of an operation in place are its first argument."""
        for number in results:
            if first in self._fresh:
                self._fresh.add(number)
            else:
                self._values[number] = self._values[first]

    def _keep(self, places: Any, values: Any) -> None:
        for place, value in zip(tree_leaves(places), tree_leaves(values), strict=True):
            if isinstance(place, Place):
                self._values[place.number] = value

    def _room(self, at: int, number: int, inputs: Sequence[int]) -> Tensor:
        """Memory for a result: that of the state, of an argument that is not needed again, or other.

        Args:
            inputs: arguments whose memory may be written while it is read.
        """
        like = self._tape.tensors[number]
        mine = [one for one in inputs if one in self._values]
        slot = self._slots.get(number)
        if slot is not None and slot not in self._taken and alike(self._values[slot], like):
            last = self._last.get(slot, -1)
            if last < at or (last == at and mine and self._whole(slot, inputs)):
                self._taken.add(slot)
                self._values[number] = self._values[slot]
                return self._values[slot]
        for one in mine:
            root = self._root[one]
            last = root in self._own and self._last[root] == at
            if last and alike(self._values[one], like) and self._whole(one, inputs):
                self._own[number] = self._own.pop(root)
                self._values[number] = self._values[one]
                return self._values[one]
        self._own[number] = self._values[number] = self._memory.take(like)
        return self._own[number]

    def _whole(self, number: int, inputs: Sequence[int]) -> bool:
        """Whether every argument that shares this one's memory is just the same part of it."""
        root, own = self._root[number], self._values[number]
        return all(
            one in self._values
            and self._values[one].data_ptr() == own.data_ptr()
            and alike(self._values[one], own)
            for one in inputs
            if self._root[one] == root
        )


def refuse(call: Call) -> None:
    """Refuse an operation whose result decides in Python, or by its shape, what comes after it.

    Raises:
        CannotReplayError: it is one.
    """
    if isinstance(call.op, Chained):
        return
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    if not tags.isdisjoint(call.op.tags) or any(
        isinstance(leaf, (bool, int, float, complex)) for leaf in tree_leaves(call.result)
    ):
        raise CannotReplayError(f"what follows {call.op} depends on its numbers")
