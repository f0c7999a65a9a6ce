"""What can go wrong that is nobody's bug: the user's input, and the machines that a study runs on."""

from __future__ import annotations


class UserError(ValueError):
    """The user's input is wrong; the message has one line per error and says what was found, wanted and to do."""


class PoolError(RuntimeError):
    """The workers that a spec asks for are unreachable or stopped; what finished is stored."""
