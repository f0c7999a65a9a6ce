"""The rules of a study's verdicts, noted before they are seen, and what of them was changed afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trainers.naming import short

LOOKS, SEEDS = "verdicts: looks", "seeds"
"""The two keys of rules that have to do with one another."""


@dataclass(frozen=True)
class Change:
    """Rules that are not those before.

    Attributes:
        seeds: that were complete then, or after how many somebody had seen verdicts.
        keys: by key of the spec what it was, and what it became.
    """

    seeds: int
    keys: Mapping[str, tuple[Any, Any]]

    @property
    def words(self) -> str:
        """`seeds from [0, 1, 2] to [3, 4, 5]; region: trained from 0.1 to 0.9`."""
        return "; ".join(f"{key} from {short(old)} to {short(new)}" for key, (old, new) in self.keys.items())


@dataclass(frozen=True)
class Registration:
    """What was said of a study's verdicts, and when.

    Whoever sees verdicts and then takes other seeds, transforms, thresholds or looks, draws again. Each set
    of rules spends the error of a study of its own. What holds of all verdicts together is 1 minus the sum.

    Attributes:
        noted: the rules as JSON, in the order in which launches said them, each with the number of complete
            seeds at that moment.
        mine: the rules of this analysis.
        least_seeds: that a verdict needs.
    """

    noted: tuple[tuple[str, int], ...]
    mine: str
    least_seeds: int

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Changes that a launch has noted, where seeds were complete."""
        pairs = zip(self.noted, self.noted[1:], strict=False)
        found = [Change(seeds, changed(before, after)) for (before, _), (after, seeds) in pairs]
        return tuple(one for one in found if one.keys and one.seeds)

    @cached_property
    def unnamed(self) -> Change | None:
        """What this analysis has otherwise than the last launch; None where it follows that."""
        if not self.noted:
            return None
        keys = changed(self.noted[-1][0], self.mine)
        return Change(0, keys) if keys else None

    @property
    def late(self) -> int:
        """After how many complete seeds the first rules were given; 0 where it was before all of them."""
        return self.noted[0][1] if self.noted else 0

    @property
    def sets(self) -> int:
        """Sets of rules by which verdicts may have been seen."""
        seen = sum(one.seeds >= self.least_seeds for one in self.changes)
        return 1 + seen + (self.unnamed is not None)

    def together(self, confidence: float) -> float:
        """The confidence of all verdicts under all sets of rules together, at least."""
        return max(0.0, 1 - self.sets * (1 - confidence))

    @property
    def lines(self) -> list[str]:
        """What a reader of verdicts must know of their rules; empty where nothing was changed."""
        found = []
        if self.late:
            found.append(f"The rules of verdicts were first given when {self.late} seeds were complete.")
        found += [
            f"The rules of verdicts were changed when {one.seeds} seeds were complete: {one.words}."
            for one in self.changes
        ]
        if self.unnamed:
            found.append(f"These verdicts follow rules that no launch has named: {self.unnamed.words}.")
        return found


def changed(before: str, after: str) -> dict[str, tuple[Any, Any]]:
    """What differs between two sets of rules, by key.

    Seeds that are appended by hand are no change: each further look pays for itself. What the older rules do
    not mention, because a former version noted them, is not compared.
    """
    old, new = flat(before), flat(after)
    found = {key: (old[key], new[key]) for key in old if key in new and old[key] != new[key]}
    if SEEDS in found and not old.get(LOOKS) and not new.get(LOOKS):
        was, now = found[SEEDS]
        if now[: len(was)] == was:
            del found[SEEDS]
    return found


def flat(rules: str) -> dict[str, Any]:
    """Rules by key: sections of a spec are taken apart, `region: trained`."""
    found: dict[str, Any] = {}
    for key, value in json.loads(rules).items():
        if isinstance(value, Mapping):
            found.update({f"{key}: {inner}": item for inner, item in value.items()})
        else:
            found[key] = value
    return found
