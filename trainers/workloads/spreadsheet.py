"""A CSV file of dates and numbers, checked line by line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from trainers.naming import short

FORM = "a CSV file whose first column is date, in rising order, and whose others are numbers"
DATE = "date"
FORMATS = ("%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%d/%m/%Y %H:%M")
"""Forms of dates beside ISO 8601."""
MISSING = ("", "nan", "na", "n/a", "null", "none")
"""What stands where a value is missing, in small letters."""


@dataclass(frozen=True)
class Spreadsheet:
    """Numbers [rows, variables] in float64, and where they come from.

    Attributes:
        names: of the variables.
    """

    path: Path
    names: tuple[str, ...]
    numbers: Tensor

    @classmethod
    def read(cls, path: Path) -> Spreadsheet:
        """Read and check a file.

        Raises:
            ValueError: the message names the file, and the line and column of what is wrong.
        """
        if not path.is_file():
            raise ValueError(f"{path} is missing; wanted {FORM}; give its path as `file`")
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                lines = csv.reader(stream)
                names = _names(path, next(lines, []))
                table = list(_rows(path, names, lines))
        except (csv.Error, UnicodeDecodeError, OSError) as error:
            raise ValueError(f"{path} cannot be read ({error}); wanted {FORM}") from None
        if not table:
            raise ValueError(f"{path} has no rows below its heading; wanted {FORM}")
        return cls(path, names, torch.tensor(table, dtype=torch.float64))

    def check_spread(self, training: int) -> None:
        """Refuse a variable that is constant over the training rows, or too large for a deviation.

        Raises:
            ValueError: the message names it.
        """
        part = self.numbers[:training]
        for name, least, most in zip(self.names, part.amin(0).tolist(), part.amax(0).tolist(), strict=True):
            if least == most:
                raise ValueError(
                    f"{self.path}, column {name}: is {least:g} in all {training:,} training rows, so it has "
                    "no deviation to be scaled by; leave the column out"
                )
            if max(abs(least), abs(most)) > 1e100:
                raise ValueError(f"{self.path}, column {name}: holds numbers beyond 1e100; scale it")

    def check_scaled(self, scaled: Tensor) -> None:
        """Refuse numbers behind the training rows that no float holds once they are scaled.

        Raises:
            ValueError: the message names the variable.
        """
        for name, finite in zip(self.names, scaled.isfinite().all(0).tolist(), strict=True):
            if not finite:
                raise ValueError(
                    f"{self.path}, column {name}: holds a number too far from those of the training rows to "
                    "be scaled by their deviation; correct it"
                )


def _names(path: Path, heading: list[str]) -> tuple[str, ...]:
    if not heading or heading[0].strip().lower() != DATE:
        found = short(heading[0]) if heading else "nothing"
        raise ValueError(f"{path}, line 1, column 1: found {found}; wanted {DATE!r}: {FORM}")
    if len(heading) < 2:
        raise ValueError(f"{path}, line 1: has the column {DATE} alone; wanted {FORM}")
    return tuple(name.strip() or str(k + 2) for k, name in enumerate(heading[1:]))


def _rows(path: Path, names: tuple[str, ...], lines: Iterator[list[str]]) -> Iterator[list[float]]:
    """The numbers of each line; `lines` is a reader, which counts them."""
    before: datetime | None = None
    for fields in lines:
        number: int = lines.line_num  # type: ignore[attr-defined]  # a reader has it
        if not fields:
            continue
        if len(fields) != len(names) + 1:
            raise ValueError(
                f"{path}, line {number}: has {len(fields)} fields; wanted one for each of its "
                f"{len(names) + 1} columns"
            )
        at = _date(path, number, fields[0])
        if before is not None and at <= before:
            how = "repeats the date of the line before" if at == before else "is earlier than the line before"
            raise ValueError(
                f"{path}, line {number}, column {DATE}: {short(fields[0])} {how}; wanted rising dates: sort "
                "the rows, and keep one of each"
            )
        before = at
        yield [_number(path, number, name, text) for name, text in zip(names, fields[1:], strict=True)]


def _date(path: Path, line: int, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        for form in FORMATS:
            try:
                return datetime.strptime(text.strip(), form)
            except ValueError:
                continue
        raise ValueError(
            f"{path}, line {line}, column {DATE}: found {short(text)}; wanted a date such as "
            "2016-07-01 00:15:00"
        ) from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        # Python reads 1_000 and digits of other alphabets as numbers; programs that write CSV files do not.
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    what = "the value is missing" if text.strip().lower() in MISSING else f"found {short(text)}"
    raise ValueError(
        f"{path}, line {line}, column {name}: {what}; wanted a finite number: fill it in, or leave the row "
        "out"
    )
