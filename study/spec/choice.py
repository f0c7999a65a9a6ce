"""A method that a spec chooses: its name, and the constants that are given for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """A method and its constants, sorted by name.

    Attributes:
        name: of one of the trainers' tables, or `package.module:name` of the user's own factory.
        source: hash of the factory's source; empty for the trainers' own.
    """

    name: str
    constants: tuple[tuple[str, Any], ...] = ()
    source: str = ""

    @property
    def label(self) -> str:
        """What tables and pictures call it: `clip_norm`, or `clip_norm(max_norm=0.5)`."""
        return label(self.name, self.constants)

    @property
    def written(self) -> str | dict[str, Any]:
        """As a spec has it."""
        return (
            {"factory" if self.source else "name": self.name, **dict(self.constants)}
            if self.constants or self.source
            else self.name
        )

    def keywords(self) -> dict[str, Any]:
        return dict(self.constants)

    def identity(self) -> dict[str, Any]:
        """What stands for it in the keys of cells: the code of a user's factory too, because other code gives other numbers."""
        return {"name": self.name, "constants": self.constants} | (
            {"source": self.source} if self.source else {}
        )


def label(name: str, constants: tuple[tuple[str, Any], ...]) -> str:
    """`name`, or `name(constant=value, …)` where constants differ from the defaults."""
    inside = ", ".join(f"{key}={value!r}" for key, value in constants)
    return f"{name}({inside})" if inside else name
