"""Reports of a cell: JSON lines in a file, written by the user's own training and read when it has ended."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers.naming import nearest, short

MOST_BYTES = 64 * 2**20
"""Reports of a cell: a million of them. More is a slip, and would fill the memory."""
MOST_WORDS = 300
"""Characters of a reason that are kept."""
PLAIN = (bool, int, float, str)


class ReportError(ValueError):
    """A report that cannot be taken; the message says found, wanted."""


@dataclass(frozen=True)
class Report:
    """One report: what is not given is None."""

    step: int
    loss: float | None = None
    metric: float | None = None


@dataclass
class Reported:
    """All that a cell reported.

    Attributes:
        reports: in the order in which they came, of rising steps.
        notes: facts beside the numbers.
        diverged: why the training itself says that it diverged; None where it does not.
        ended: how a function ended: `returned`, or `raised` with an error in one line. None where it did not
            come to its end, and for a command.
    """

    reports: list[Report] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    diverged: str | None = None
    ended: dict[str, str] | None = None


@dataclass(frozen=True)
class Reports:
    """The file of a cell's reports, for writing.

    Attributes:
        metric: the name that the spec gives the score.
        steps: of the budget.
    """

    path: Path
    metric: str
    steps: int

    def add(self, said: Mapping[str, Any]) -> bool:
        """Write a report down; whether its loss is not finite.

        Raises:
            ReportError: found, wanted.
        """
        report = report_of({key: number(key, value) for key, value in said.items()}, self.metric, self.steps)
        content = {"step": report.step, "loss": report.loss, "metric": report.metric}
        self._write({key: value for key, value in content.items() if value is not None})
        return report.loss is not None and not math.isfinite(report.loss)

    def note(self, facts: Mapping[str, Any]) -> None:
        """Write facts down that are kept beside the cell's numbers.

        Raises:
            ReportError: found, wanted.
        """
        check_facts(facts)
        self._write({"note": dict(facts)})

    def diverge(self, reason: str) -> None:
        """Write down that the cell diverged, and why."""
        self._write({"diverged": said_reason(reason)})

    def end(self, how: str, words: str = "") -> None:
        """Write down how a function ended."""
        self._write({"ended": {how: words}})

    def _write(self, content: Mapping[str, Any]) -> None:
        # One write per line: several processes of a cell may report.
        line = f"{json.dumps(content)}\n".encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def number(key: str, value: Any) -> Any:
    """A reported value as a plain number: of torch, numpy or Python.

    Raises:
        ReportError: it is none.
    """
    if isinstance(value, (bool, str, bytes)) or value is None:
        raise ReportError(f"reported {key} = {short(value)}; wanted a number")
    # A tensor on a device waits for it here, as every reader of a loss does.
    found = value.item() if callable(getattr(value, "item", None)) and not isinstance(value, float) else value
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ReportError(f"reported {key} = {short(value)}; wanted a number")
    return found


def report_of(said: Mapping[str, Any], metric: str, steps: int) -> Report:
    """A report out of its keys.

    Raises:
        ReportError: found, wanted.
    """
    known = ("step", "loss", "metric", metric)
    for key, value in said.items():
        if key not in known:
            raise ReportError(
                f"reported an unknown key {short(key)}; known: {', '.join(known)}{nearest(str(key), known)}"
            )
        number(key, value)
    if "metric" in said and metric in said and metric != "metric":
        raise ReportError(f"reported both metric and {metric}; wanted one of them")
    for key in said:
        _check_size(key, said[key])
    step = said.get("step", steps)
    if step != int(step) if math.isfinite(step) else True:
        raise ReportError(f"reported step = {short(step)}; wanted a whole number")
    if not 0 <= step <= steps:
        raise ReportError(
            f"reported step {int(step)} of a budget of {steps} steps; wanted one of 0 to {steps}"
        )
    score, loss = said.get("metric", said.get(metric)), said.get("loss")
    return Report(int(step), None if loss is None else float(loss), None if score is None else float(score))


def _check_size(key: str, value: float) -> None:
    try:
        float(value)
    except OverflowError:
        raise ReportError(f"reported {key} = {short(value)}; wanted a number that a float can hold") from None


def check_facts(facts: Any) -> None:
    """Refuse facts that are no plain values by name.

    Raises:
        ReportError: found, wanted.
    """
    if not isinstance(facts, Mapping):
        raise ReportError(f"noted {short(facts)}; wanted facts by name")
    for key, value in facts.items():
        if not isinstance(key, str) or not isinstance(value, PLAIN):
            raise ReportError(f"noted {short(key)} = {short(value)}; wanted a number, a text, true or false")
        # Pages and files of a study show every fact.
        if any(isinstance(one, str) and not _can_be_shown(one) for one in (key, value)):
            raise ReportError(
                f"noted {short(key)} = {short(value)}; "
                f"wanted texts of at most {MOST_WORDS} printable characters"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ReportError(f"noted {short(key)} = {value}; wanted a finite number, or a text")


def _can_be_shown(text: str) -> bool:
    return len(text) <= MOST_WORDS and text.isprintable()


def said_reason(reason: Any) -> str:
    """A reason as a record keeps it: one short line, without half characters that no file takes."""
    return " ".join(str(reason).encode("utf-8", "backslashreplace").decode().split())[:MOST_WORDS]


def read_reports(path: Path, metric: str, steps: int) -> Reported:
    """What a cell reported. The last line may be half written, because the cell may have been ended.

    Raises:
        ReportError: a line is no report, or there are too many; the message names the line.
    """
    found = Reported()
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return found
    if not path.is_file():
        raise ReportError("what it left in place of its reports is no file")
    if size > MOST_BYTES:
        raise ReportError(
            f"its reports have {size:,} bytes; wanted at most {MOST_BYTES:,}: report less often"
        )
    lines = path.read_bytes().split(b"\n")
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            if at == len(lines):
                break
            words = short(line.decode(errors="replace"))
            raise ReportError(f"line {at} of its reports is {words}; wanted JSON") from None
        try:
            _take(found, said, metric, steps)
        except ReportError as error:
            raise ReportError(f"line {at} of its reports: {error}") from None
    return found


def _take(found: Reported, said: Any, metric: str, steps: int) -> None:
    if not isinstance(said, dict):
        raise ReportError(f'found {short(said)}; wanted an object, such as {{"step": 1, "loss": 0.5}}')
    if set(said) == {"note"}:
        check_facts(said["note"])
        found.notes |= said["note"]
    elif set(said) == {"diverged"}:
        found.diverged = said_reason(said["diverged"])
    elif set(said) == {"ended"} and isinstance(said["ended"], dict):
        found.ended = said["ended"]
    else:
        report = report_of(said, metric, steps)
        last = found.reports[-1].step if found.reports else 0
        if report.step < last:
            raise ReportError(f"reported step {report.step} after step {last}; wanted rising steps")
        found.reports.append(report)
