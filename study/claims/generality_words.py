"""Why a claim holds in general, does not, or stays open, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from study.claims.pooled_comparison import LEAST_TASKS, Pooled
from study.claims.verdicts import INCONCLUSIVE, NO_DIFFERENCE
from study.measures.estimate import bound_of

MOST_NAMED = 3
"""Settings that a reason names."""


def reason_of(
    hardest: Pooled, comparisons: Sequence[Pooled], verdict: str, confidence: float, missing: str
) -> str:
    """The number behind a verdict in general, then what keeps it open."""
    parts = [counted(hardest, confidence) if hardest.exact else numbered(hardest, confidence)]
    if verdict == NO_DIFFERENCE:
        slight = f"± {hardest.indifference:.3g}{' ' + hardest.unit if hardest.unit else ''}"
        parts.append(f"the interval lies within {slight}, less than which counts as no difference")
    if verdict == INCONCLUSIVE:
        parts += why_open(hardest, comparisons, missing)
    return ". ".join(part[0].upper() + part[1:] if k else part for k, part in enumerate(parts) if part)


def numbered(one: Pooled, confidence: float) -> str:
    """`against none: mean over 5 tasks 0.46 [-0.2, 1.1] decades (99%); a further task …`."""
    if one.effects is None:
        return f"{one.place}: {one.trouble}"
    interval, prediction = one.effects.interval(confidence), one.effects.prediction(confidence)
    unit = f" {one.unit}" if one.unit else ""
    sign = bound_of(lower=bool(one.higher), upper=bool(one.lower))
    n = len(one.tasks)
    mean = f"{sign}{one.turn(one.effects.mean):.3g}"
    if interval is None:
        return f"{one.place}: {mean}{unit} in 1 task"
    further = f"; a further task would show {spanned(one, prediction)}" if prediction else ""
    span = f"{spanned(one, interval)}{unit} ({percent(confidence)})"
    return f"{one.place}: mean over {n} tasks {mean} {span}{further}"


def spanned(one: Pooled, interval: tuple[float, float]) -> str:
    """An interval in the unit that is shown: the ends of a ratio are exponentials."""
    low, high = (f"{one.turn(end):.3g}" for end in interval)
    return f"[{low}, {high}]"


def percent(confidence: float) -> str:
    """A confidence that is corrected for many claims is not rounded up to 100 %."""
    return f"{100 * confidence:.4g}%"


def counted(one: Pooled, confidence: float) -> str:
    """What a rule about every step is known to do over all settings."""
    n = len(one.tasks)
    tasks = "1 task" if n == 1 else f"{n} tasks"
    if one.broken:
        more = len(one.broken) - MOST_NAMED
        rest = f" and {more} more settings" if more > 0 else ""
        return (
            f"{one.place}: broken in {one.broken_runs} of {one.runs} runs, those of "
            f"{'; '.join(one.broken[:MOST_NAMED])}{rest}; one is enough"
        )
    if not n:
        return f"{one.place}: {one.trouble}"
    most = 1 - (1 - confidence) ** (1 / n)
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - one.breaking))
    return (
        f"{one.place}: not contradicted in {one.runs} runs of {tasks}; at most {100 * most:.3g}% of tasks "
        f"break it ({percent(confidence)}). For at most {one.breaking:.0%} it takes {needed} tasks"
    )


def why_open(hardest: Pooled, comparisons: Sequence[Pooled], missing: str) -> list[str]:
    """What keeps it open, all that applies but the width of the interval, or that."""
    found = []
    few = [one for one in comparisons if not one.telling and not one.trouble]
    if few and len(few) == len(comparisons):
        found.append(f"too few tasks ({max(len(one.tasks) for one in few)}); wanted at least {LEAST_TASKS}")
    elif few:
        places = ", ".join(f"{one.place} ({len(one.tasks)})" for one in few[:MOST_NAMED])
        more = f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
        found.append(f"too few tasks {places}{more}; wanted at least {LEAST_TASKS}")
    found += [f"{one.place}: {one.trouble}" for one in comparisons if one.trouble and one is not hardest]
    if hardest.enough and hardest.depends:
        found.append("at common learning rates the mean over tasks lies on the other side of the threshold")
    if hardest.enough and hardest.bound and not hardest.exact:
        found.append(
            f"in {hardest.bound} of {hardest.settings} settings the number is only a bound, because a region "
            "touches the border of the grid; widen the axis to decide"
        )
    if missing:
        found.append(missing)
    if not found and not hardest.exact:
        found.append("the interval does not lie on one side of the threshold")
    return found
