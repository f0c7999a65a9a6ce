"""What can go wrong that is nobody's bug: the user's input, and the machines that a study runs on."""

from __future__ import annotations


class UserError(ValueError):
    """The user's input is wrong.

    The message has one line per error, which says what was found, what was wanted, and what to do.
    """


class PoolError(RuntimeError):
    """The workers that a spec asks for are unreachable or stopped; what finished is stored."""
