"""A tape repeated on memory of its own: no operation allocates, and views are taken once.

An ordinary step of a tile allocates the result of every operation. The C library gives large blocks back to
the system, so that each of them is paged in again. Here each result has its place beforehand, that of a
result which is not needed any more where there is one, and the new state of a step replaces the old one where
it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from trainers.replay.chains import chained
from trainers.replay.forms import draws
from trainers.replay.kernel import StandsOtherwiseError
from trainers.replay.layout import Layout
from trainers.replay.tape import Tape


def laid(
    tape: Tape, state: Sequence[tuple[Tensor, Tensor]], given: Sequence[Tensor], kept: Sequence[Tensor]
) -> tuple[Layout, list[Callable[[], object]]]:
    """Where tensors stand, and the operations to be called one after another.

    Raises:
        CannotReplayError: the tape has an operation that cannot be repeated.
        StandsOtherwiseError: what is given has gaps in memory, which its place here has not.
    """
    layout = Layout(tape, state, given, kept)
    found: dict[int, Any] = {}
    with torch.no_grad():
        return layout, [bound.ready(found) for bound in layout.bound()]


class Replay:
    """A tape on memory of its own.

    Args:
        tape: what a function did.
        state: its arguments that it gives new values for, and these values.
        given: its other arguments that differ from one time to the next.
        kept: further results that are read afterwards.
        repeats: how often it will be done, about: chains are compiled where that pays.

    Attributes:
        state, given, kept: the tensors that stand for them. Write into `state` and `given`, `run`, and read
            `state` and `kept`.
        draws: whether numbers are drawn, other ones each time.

    Raises:
        CannotReplayError: the tape has an operation that cannot be repeated.
    """

    def __init__(
        self,
        tape: Tape,
        state: Sequence[tuple[Tensor, Tensor]],
        given: Sequence[Tensor],
        kept: Sequence[Tensor],
        repeats: int = 1,
    ) -> None:
        needed = {tape.place(one).number for one in (*(new for _, new in state), *kept)}
        plain, tape.calls = tape.calls, chained(tape, needed, repeats)
        try:
            layout, self._program = laid(tape, state, given, kept)
        except StandsOtherwiseError:
            tape.calls = plain
            layout, self._program = laid(tape, state, given, kept)
        self.state = [layout.value(tape.place(old)) for old, _ in state]
        self.given = [layout.value(tape.place(one)) for one in given]
        self.kept = [layout.value(tape.place(one)) for one in kept]
        self.draws = any(draws(call.op) for call in tape.calls)

    def run(self) -> None:
        """Do it once more."""
        # Nothing here is differentiated, and torch keeps no account of it.
        with torch.inference_mode():
            for operation in self._program:
                operation()
