"""A step in time of all agents: recorded once for each number of agents, and repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainers.replay import CannotReplayError, Replay, Tape

Tensors = Sequence[Tensor]
Function = Callable[[Tensors, Tensors], tuple[Tensors, Tensors]]
"""`function(state, given) -> (state, results)`, whose operations depend on no number."""


class Repeated:
    """A function that is called many times in a row, each time on the state that it gave.

    Its operations are so small that most of an ordinary call is the Python that leads to them. On a CPU they
    are recorded and repeated (`trainers.replay`), with the same bits.

    Args:
        times: how often it is called, about: see `Replay`.
    """

    def __init__(self, function: Function, times: int) -> None:
        self._function, self._times = function, times
        self._recorded: dict[tuple[torch.Size, ...], Replay | None] = {}
        self._state: Tensors = ()
        self._constant: Tensors = ()
        self._replay: Replay | None = None

    def begin(self, state: Tensors, constant: Tensors, example: Tensors) -> None:
        """Begin a row of calls.

        Args:
            constant: first part of what is given, the same in all calls of the row.
            example: of the second part.
        """
        self._state, self._constant = state, constant
        shape = tuple(tensor.shape for tensor in (*state, *constant))
        if shape not in self._recorded:
            self._recorded[shape] = self._record(state, (*constant, *example))
        self._replay = self._recorded[shape]
        if self._replay is not None:
            for own, new in zip(self._replay.state, state, strict=True):
                own.copy_(new)
            for own, new in zip(self._replay.given, constant, strict=False):
                own.copy_(new)

    def _record(self, state: Tensors, given: Tensors) -> Replay | None:
        if state[0].device.type != "cpu":
            return None
        # Copies, because one tensor may be several of them, or a part of another one.
        state, given = [tensor.clone() for tensor in state], [tensor.clone() for tensor in given]
        with Tape() as tape:
            after, results = self._function(state, given)
        try:
            return Replay(tape, list(zip(state, after, strict=True)), given, results, self._times)
        except CannotReplayError:
            return None

    def __call__(self, varying: Tensors) -> Tensors:
        """The results of the next call. The one after it writes over them.

        Args:
            varying: second part of what is given.
        """
        if self._replay is None:
            self._state, results = self._function(self._state, (*self._constant, *varying))
            return results
        for own, new in zip(self._replay.given[len(self._constant) :], varying, strict=True):
            own.copy_(new)
        self._replay.run()
        return self._replay.kept

    @property
    def state(self) -> list[Tensor]:
        """The state after the last call."""
        return [tensor.clone() for tensor in (self._replay.state if self._replay else self._state)]
