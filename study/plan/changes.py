"""A spec that changed under its name: additions are welcome, another meaning of stored cells is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from study.errors import UserError
from study.plan.cells import Plan
from tracking import EVIDENCE

FINGERPRINT = "data, network or arithmetic of this version"


def refuse_other_meaning(plan: Plan, remembered: Mapping[str, str]) -> None:
    """Refuse a spec whose name stands for stored cells of another budget, workload, model, optimizer or data.

    Stored cells keep their meaning. So seeds, learning rates, weight decays and transforms (with their code)
    may come and go, and tolerances, workers and the description may change. Settings may be added or dropped,
    but not both at once, because that looks like a setting that changed.

    Args:
        remembered: what the stored settings of the study meant when it was last launched, by `Cell.setting`.

    Raises:
        UserError: one line per difference.
    """
    before = [json.loads(meaning) for meaning in remembered.values()]
    now = [json.loads(meaning) for meaning in plan.meanings.values()]
    gone, fresh = [one for one in before if one not in now], [one for one in now if one not in before]
    if not gone or not fresh:
        return
    # Of several settings show the pair that differs least: most likely one is what the other was.
    old, new = min(product(gone, fresh), key=lambda pair: len(told(*pair)))
    lines = [
        f"study {plan.spec.name!r} has stored cells of another meaning, "
        "and would show them beside the new ones under one name. What differs:",
        *(f"  {where}: stored {a}, now {b}" for where, a, b in told(old, new)),
        "give the changed spec another name, or undo the change "
        "(seeds, lr, weight_decay, transforms, region and workers may change freely)",
    ]
    raise UserError("\n".join(lines))


def not_asked(plan: Plan, outcomes: Mapping[str, str]) -> int:
    """How many stored cells a spec does not ask for: of transforms, seeds or values that it no longer has.

    Another study of the same home may ask for them.

    Args:
        outcomes: of all stored cells of the study's settings, by key.
    """
    asked = set(plan.keys)
    return sum(outcome in EVIDENCE and key not in asked for key, outcome in outcomes.items())


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], where: str = ""
) -> Iterator[tuple[str, str, str]]:
    """(place, stored, now) of everything that differs between two settings."""
    for key in {**old, **new}:
        before, now = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differences(before, now, f"{where}{key}.")
        elif before != now:
            yield (FINGERPRINT if key == "fingerprint" else f"{where}{key}"), worded(before), worded(now)


def told(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The differences that are shown: that of the fingerprint where nothing else differs."""
    # It follows from the others, and only a launch, which loads data, knows it: all commands say the same.
    found = list(differences(old, new))
    return [one for one in found if one[0] != FINGERPRINT] or found


def worded(value: Any) -> str:
    """Constants as `a=1, b=2`; anything else as it is written in a spec."""
    if isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return ", ".join(f"{name}={content}" for name, content in value) or "defaults"
    return json.dumps(value)
