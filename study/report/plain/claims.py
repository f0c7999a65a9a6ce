"""The claims ledger, as `claims.json` has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from study.claims.verdicts import Claim


def claims(found: Sequence[Claim]) -> list[dict[str, Any]]:
    """One entry per claim and setting."""
    # `missing` is for the terminal's list of what a study lacks: `reason` says it too, in a whole sentence.
    return [{name: value for name, value in asdict(claim).items() if name != "missing"} for claim in found]
