"""A method that a spec chooses: its name, and the constants that are given for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

AS_EVER = {("arrays", "channels", "last")}
"""Constants that say what a method did before it had them: method, constant, value.

They are in no label and no key, so that whoever is asked for one goes on with the cells that were trained
without it.
"""

UNTOLD = ("limit", "paired")
"""What a spec says of training of the user's own that decides no number: it is in no key."""

LABEL = "label"
"""The key of a method in a spec that says what people read in its place."""


@dataclass(frozen=True)
class Choice:
    """A method and its constants, sorted by name.

    Attributes:
        name: of one of the trainers' tables, or `package.module:name` of the user's own factory.
        source: hash of the factory's source; empty for the trainers' own.
        folder: where the module of the factory lies: beside a spec, or (empty) on Python's path. None where
            its code must not run. It says nothing of what the method is, and is in no key.
        label: what the spec calls it where people read; empty without one. It is in no key either.
        shown: what people read where the spec gives a label. Variants that share one have their constants
            behind it.
        form: `function` or `command` where the user's own code does all of the training; else empty.
    """

    name: str
    constants: tuple[tuple[str, Any], ...] = ()
    source: str = ""
    folder: str | None = field(default=None, compare=False)
    label: str = field(default="", compare=False)
    shown: str = field(default="", compare=False)
    form: str = ""

    @property
    def technical_name(self) -> str:
        """What evidence goes by: `clip_norm`, or `clip_norm(max_norm=0.5)`."""
        # Facts about the user's own training (its metric, say) make no variant of it.
        return self.name if self.form else with_constants(self.name, self.telling)

    @property
    def title(self) -> str:
        """What tables and pictures call it: its label from the spec, else the technical name."""
        return self.shown or self.label or self.technical_name

    @property
    def telling(self) -> tuple[tuple[str, Any], ...]:
        """The constants that tell it from other choices."""
        if self.form:
            return tuple(one for one in self.constants if one[0] not in UNTOLD)
        return tuple(one for one in self.constants if (self.name, *one) not in AS_EVER)

    @property
    def written(self) -> str | dict[str, Any]:
        """As a spec has it."""
        if self.form:
            # A command is one of its own constants, and its name is made of it.
            written = {self.form: self.name, **dict(self.constants)}
            return written | {LABEL: self.label} if self.label else written
        if not self.constants and not self.source and not self.label:
            return self.name
        found = {"factory" if self.source else "name": self.name, **dict(self.constants)}
        return found | {LABEL: self.label} if self.label else found

    def keywords(self) -> dict[str, Any]:
        """The given constants, by name."""
        return dict(self.constants)

    def identity(self) -> dict[str, Any]:
        """What stands for it in the keys of cells.

        The code of a user's factory is part of it, because other code gives other numbers.
        """
        found: dict[str, Any] = {"name": self.name, "constants": self.telling}
        # Only where there is one: an empty source would change the key of every cell stored without it.
        if self.source:
            found["source"] = self.source
        if self.form:
            found["form"] = self.form
        return found


def with_constants(name: str, constants: tuple[tuple[str, Any], ...]) -> str:
    """`name`, or `name(constant=value, …)` where constants are given."""
    # repr and not :g: two variants that differ in the last digit need two names.
    inside = ", ".join(f"{key}={value!r}" for key, value in constants)
    return f"{name}({inside})" if inside else name
