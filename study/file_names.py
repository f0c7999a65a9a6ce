"""Names of files and of tracker tags from the user's words: only allowed characters, and never too long."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

LONGEST, KEPT = 180, 170
"""Bytes of a name that stays as it is, and those that are kept of a longer one.

File systems allow 255 with the ending.
"""

EXPORTS = (
    *("cells.parquet", "cells.csv", "regions.json", "claims.json", "claims.md", "report.html"),
    *("provenance.json", "claims.tex", "measures.tex"),
    *(f"schemas/{name}.schema.json" for name in ("cells", "claims", "provenance", "regions")),
)
"""The files of an export, beside its pictures."""


def partial(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(f".{path.name}.partial")


def file_name(words: str) -> str:
    """Words as a file's name without ending.

    What is no letter, digit, '.', '_' or '+' becomes '-', and a long name is shortened.
    """
    return shortened("".join(c if c.isalnum() or c in "._+" else "-" for c in words))


def shortened(name: str) -> str:
    """A name of more than `LONGEST` bytes as its first `KEPT` and the beginning of its sha256."""
    whole = name.encode()
    if len(whole) <= LONGEST:
        return name
    # The cut may fall inside a character of several bytes, which is then dropped. The hash keeps long names
    # apart that begin alike.
    return f"{whole[:KEPT].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:8]}"


def tag_name(setting: str) -> str:
    """A setting's name with only the characters that trackers allow in a tag's name, shortened."""
    # MLflow allows 250 characters for the whole name; `claim.` and the claim's name come before this part.
    return shortened(re.sub(r"[^\w./+-]+", "_", setting.replace(" · ", ".")).strip("_"))
