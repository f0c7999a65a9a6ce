"""What every kind of published table gives, and what kinds share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.measures.estimate import Estimate


class Table(Protocol):
    """A table of a paper."""

    @property
    def title(self) -> str:
        """Which table, and of what."""

    @property
    def source(self) -> str:
        """Authors, title, number."""


class Judged(Protocol):
    """A number of a table beside this study's."""

    @property
    def agreement(self) -> str:
        """A word of `study.papers.agreement`, or nothing where there is no number to agree with."""

    @property
    def reason(self) -> str:
        """Why."""


Printed = TypeVar("Printed", bound=Table)


@dataclass(frozen=True)
class Kind(Generic[Printed]):
    """A kind of published table.

    Attributes:
        tables: all that are known.
        of: those that are about a study's data.
        values: a table beside a study, as JSON has it.
        shown: the same as a table of a terminal, with sentences below.
    """

    tables: Sequence[Printed]
    of: Callable[[Analysis], Sequence[Printed]]
    values: Callable[[Analysis, Printed], dict[str, Any]]
    shown: Callable[[Analysis, Printed], Group]


def reasons(rows: Iterable[Judged]) -> list[str]:
    """A line for each agreement and its reason, with the number of rows that it holds for."""
    counts = Counter((row.agreement, row.reason) for row in rows if row.agreement)
    return [
        f"  {agreement} ({count} row{'s' * (count > 1)}): {escape(reason)}"
        for (agreement, reason), count in counts.items()
    ]


def score_values(found: Estimate | None, confidence: float) -> dict[str, Any] | None:
    """A score over seeds; its unit stands once, at the table."""
    if found is None:
        return None
    return {"estimate": found.mean, "interval": found.interval(confidence), "per_seed": found.values_S}
