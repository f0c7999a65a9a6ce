"""Claims in planted settings, as studies ask them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from study.claims import Claim, Comparison, Estimate, Finding
from study.claims.generality import Generality, Verdicts, over_settings
from study.claims.tasks import Asked

TASKS = ("sgd", "adam", "adamw", "lion", "rmsprop")
NOISE = (-0.01, 0.0, 0.01)
"""Of three seeds."""


def verdict(name: str, setting: str, verdict: str = "inconclusive", version: int = 1) -> Claim:
    """What a ledger said."""
    return Claim(
        id=name, claim="s", source="t", setting=setting, measure="m", against="", above=True, unit="",
        estimate=0.0, interval=None, lower_bound=False, upper_bound=False, confidence=0.95, n_seeds=3,
        threshold=0.0, verdict=verdict, reason="", cells=(), version=version,
    )  # fmt: skip


def asked(
    mean: float | Finding,
    task: str = "adamw",
    *,
    name: str = "stabilizer-widens-lr",
    source: int = 0,
    own: Sequence[str] = (),
    loss: float = 2.0,
    said: str = "inconclusive",
) -> Asked:
    """A claim in one setting, against one baseline where only a mean is given."""
    found = mean if isinstance(mean, Finding) else finding({"none": mean})
    claim = replace(verdict(name, f"w · {task}", said), cells=tuple(own))
    return Asked(f"study{source}", source, task, claim, found, frozenset(own), loss)


def finding(means: dict[str, float], *, unit: str = "decades", **more: object) -> Finding:
    """A finding whose seeds scatter a little around these means."""
    comparisons = [
        Comparison(place, Estimate(tuple(mean + one for one in NOISE)), 0.0, above=True)
        for place, mean in means.items()
    ]
    return Finding("m", unit, tuple(comparisons), **more)  # type: ignore[arg-type]


def over(means: Sequence[float | Finding], **more: object) -> Generality:
    """The one claim that is asked in a task for each of these."""
    (one,) = judged([asked(mean, task, **more) for mean, task in zip(means, TASKS, strict=False)]).claims  # type: ignore[arg-type]
    return one


def judged(found: Sequence[Asked]) -> Verdicts:
    return over_settings(found, 0.95)


def exact(value: float) -> Finding:
    """A rule about every step that says: above 0."""
    values = Estimate((1.0, 1.0, value))
    return Finding("m", "", (Comparison("steps", values, 0.0, True, preposition="over all", exact=True),))
