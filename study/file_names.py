"""Words of the user's as names of files and of tracker tags: allowed characters alone, and never too long."""

from __future__ import annotations

import hashlib
import re

LONGEST, KEPT = 180, 170
"""Bytes of a name that stays as it is, and those kept of a longer one: file systems allow 255 with the ending."""


def file_name(words: str) -> str:
    """Words as a file's name without ending: what is no letter, digit, '.', '_' or '+' becomes '-', and a long one is shortened."""
    return shortened("".join(c if c.isalnum() or c in "._+" else "-" for c in words))


def shortened(name: str) -> str:
    """A name of more than `LONGEST` bytes as its first `KEPT` and the beginning of its sha256, so that long names which begin alike stay apart."""
    whole = name.encode()
    return (
        name
        if len(whole) <= LONGEST
        else f"{whole[:KEPT].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:8]}"
    )


def tag_name(setting: str) -> str:
    """A setting's name with the characters alone that trackers allow in a tag's, shortened: MLflow allows 250 for the whole."""
    return shortened(re.sub(r"[^\w./+-]+", "_", setting.replace(" · ", ".")).strip("_"))
