"""A record as a row of the ledger, and what shows that a row is damaged."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from tracking.record import COLUMNS, FIELDS, LATER, OUTCOMES, CellRecord, SqlType

JSON = {"constants": dict, "curve": list, "dynamics": dict, "provenance": dict}
"""Fields that hold JSON, with what it is."""
KINDS: dict[SqlType, type] = {"TEXT": str, "REAL": float, "INTEGER": int}


class DamagedRowError(ValueError):
    """A row is not what was stored; the message says why."""


def to_row(record: CellRecord) -> tuple[Any, ...]:
    """The values of a record, in the order of its fields, as sqlite gives them back."""
    row: list[Any] = []
    for name, column in COLUMNS.items():
        value: Any = json.dumps(record.curve) if name == "curve" else getattr(record, name)
        if value is not None and column.type == "REAL":
            # Neither NaN nor the sign of zero survives in sqlite.
            value = None if math.isnan(value) else float(value) + 0.0
        elif value is not None:
            value = KINDS[column.type](value)
        row.append(value)
    return tuple(row)


def checksum(row: Sequence[Any]) -> str:
    """A hash of all values of a row. Python writes a float with as many digits as make it out.

    Later fields that are null at its end are left out, so that it is the hash of versions without them.
    """
    kept = list(row)
    while len(kept) > len(FIELDS) - len(LATER) and kept[-1] is None:
        kept.pop()
    return hashlib.blake2b(repr(tuple(kept)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def from_row(row: Sequence[Any], expected: str | None) -> CellRecord:
    """The record of a row.

    Args:
        expected: the row's checksum; None in rows of versions that stored none, which are looked at closely
            instead.

    Raises:
        DamagedRowError: the row is not what was stored.
    """
    if expected is None:
        _look_at(row)
    elif checksum(row) != expected:
        raise DamagedRowError("its checksum is another one than when it was stored")
    values = dict(zip(FIELDS, row, strict=True))
    values["curve"] = tuple(tuple(point) for point in json.loads(values["curve"]))
    return CellRecord(**values)


def _look_at(row: Sequence[Any]) -> None:
    """Find what no whole record can have. A changed digit is not found so."""
    for (name, column), value in zip(COLUMNS.items(), row, strict=True):
        if value is None:
            if not (column.null or column.unique):
                raise DamagedRowError(f"it has no {name}")
            continue
        if not isinstance(value, KINDS[column.type]):
            raise DamagedRowError(f"its {name} is no {column.type}")
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise DamagedRowError(f"its {name} is no text")  # bytes that are not UTF-8 are read as surrogates
        if name in JSON:
            try:
                found = json.loads(str(value))
            except ValueError:
                found = None
            if not isinstance(found, JSON[name]):
                raise DamagedRowError(f"its {name} is no JSON")
            if name == "curve" and not all(map(_is_point, found)):
                raise DamagedRowError("its curve has points that are none")
    if row[FIELDS.index("outcome")] not in OUTCOMES:
        raise DamagedRowError("its outcome is none that a cell can have")


def _is_point(found: object) -> bool:
    if not isinstance(found, list) or len(found) != 3:
        return False
    step, *values = found
    return isinstance(step, int) and all(value is None or isinstance(value, int | float) for value in values)
