"""What is wrong with a value of a spec, as facts; `study.spec.messages` makes lines of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

Location = tuple[int | str, ...]
"""Where something is: `("transforms", 1)` is the second item of the list that stands at `transforms`."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the value of a key.

    Attributes:
        text: what is wrong and what to do. Neither the place nor, unless `shows_value`, the value.
        path: the place, from the value that is being read.
        shows_value: the text says itself what was found.
    """

    text: str
    path: Location = ()
    shows_value: bool = False


class FieldError(ValueError):
    """All that is wrong with a value. Pydantic keeps a ValueError as it is, so the facts reach `explain`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = tuple(problems)


def wrong(text: str, *path: int | str, shows_value: bool = False) -> FieldError:
    """The error of a value with which one thing is wrong."""
    return FieldError([Problem(text, path, shows_value)])


def problems_at(path: Location, error: Exception) -> list[Problem]:
    """What an error says of the part at `path`; one that carries no facts is its words alone."""
    if isinstance(error, FieldError):
        return [replace(one, path=(*path, *one.path)) for one in error.problems]
    return [Problem(str(error), path)]
