"""A function's operations on tensors, recorded once and repeated on memory of their own."""

from trainers.replay.layout import CannotReplayError
from trainers.replay.replay import Replay
from trainers.replay.tape import Tape

__all__ = ["CannotReplayError", "Replay", "Tape"]
