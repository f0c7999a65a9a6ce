"""A spec that changed under its name: additions are welcome, other meanings of stored cells are refused with the difference shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from study.plan import Plan
from study.spec import SpecError

FINGERPRINT = "data, network or arithmetic of this version"


def refuse_other_meaning(plan: Plan, remembered: Mapping[str, str]) -> None:
    """Refuse a spec whose name stands for stored cells of another budget, workload, model, optimizer or data.

    Seeds, learning rates, weight decays, transforms (and their code) and further settings may come and go: cells that are stored keep their
    meaning, and only what is missing is trained. Tolerances, workers and the description may change, too.

    Args:
        remembered: what the stored settings of the study meant when it was last launched, by `Cell.setting`.

    Raises:
        SpecError: one line per difference.
    """
    now = [json.loads(meaning) for meaning in plan.meanings.values()]
    gone = [old for old in map(json.loads, remembered.values()) if old not in now]
    if not gone:
        return
    old, new = min(product(gone, now), key=lambda pair: sum(1 for _ in differences(*pair)))
    name = plan.spec.name
    raise SpecError(
        f"study {name!r} has stored cells of another meaning; they would stand beside the new ones under one name. What differs:\n"
        + "\n".join(f"  {where}: stored {a}, now {b}" for where, a, b in differences(old, new))
        + "\ngive the changed spec another name, or take the change back (seeds, lr, weight_decay, transforms, region and workers may change freely)"
    )


def differences(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, str, str]]:
    """(place, stored, now) of everything that differs between two settings."""
    for key in {**old, **new}:
        before, now = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differences(before, now, f"{where}{key}.")
        elif before != now:
            yield (FINGERPRINT if key == "fingerprint" else f"{where}{key}"), worded(before), worded(now)


def worded(value: Any) -> str:
    """Constants as `a=1, b=2`; anything else as it is written in a spec."""
    if isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return ", ".join(f"{name}={content}" for name, content in value) or "defaults"
    return json.dumps(value)
