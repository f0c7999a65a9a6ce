"""What a tracker gets of a study as a whole: figures by name, and a tag per verdict."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from study.analysis import Analysis
from study.claims.verdicts import INCONCLUSIVE, NO_DIFFERENCE, REFUTED, SUPPORTED, Claim
from study.file_names import shortened, tag_name
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import Evidence
from study.report.claims_page import shown_estimate

NOT_DECIDABLE = "not decidable"
"""Of a claim for which the study has nothing to measure, where *inconclusive* was measured and is open."""
VERDICTS = (SUPPORTED, REFUTED, NO_DIFFERENCE, INCONCLUSIVE, NOT_DECIDABLE)


def shown_verdict(claim: Claim) -> str:
    """The verdict, or that there is nothing to decide by."""
    return NOT_DECIDABLE if claim.estimate is None else claim.verdict


def verdict_counts(analysis: Analysis) -> str:
    """`1 no difference, 5 inconclusive, 11 not decidable`."""
    counts = Counter(map(shown_verdict, analysis.judged))
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def tags(analysis: Analysis) -> dict[str, str]:
    """Of each claim the verdict and, beside it, its number: `claim.ID` and `claim.ID.number`.

    Where a claim has several verdicts its setting follows: `claim.ID.SETTING`.
    """
    found = {}
    for claim, name in _named(analysis):
        found[f"claim.{name}"] = shown_verdict(claim)
        if claim.estimate is not None:
            found[f"claim.{name}.number"] = f"{shown_estimate(claim)}, {claim.against}, {claim.n_seeds} seeds"
    return found


def summary(analysis: Analysis) -> dict[str, float]:
    """Counts of cells, then per transform and claim the estimates and the ends of their intervals.

    `trained_lr_width/none`, `trained_lr_width_low/none`; with several settings the setting stands between.
    """
    found = {f"cells_{name}": float(count) for name, count in analysis.counts.items()}
    confidence = analysis.plan.spec.region.confidence
    for one in analysis.reached:
        name = _transform_name(analysis, one.case.evidence, one.case.landscape.transform)
        for what, measured in (
            ("trained_lr_width", one.trained),
            ("competitive_lr_width", one.competitive),
            # Where no cell is better than the untrained network there is no best score.
            *([("score", one.score)] if one.lr is not None else []),
        ):
            found |= _estimate(what, name, measured, confidence)
    for claim, name in _named(analysis):
        if claim.estimate is not None:
            found |= _interval("claim", metric_name(name), claim.estimate, claim.interval)
    return found


def _named(analysis: Analysis) -> Iterator[tuple[Claim, str]]:
    asked = Counter(claim.id for claim in analysis.judged)
    for claim in analysis.judged:
        place = f".{tag_name(claim.setting)}" if asked[claim.id] > 1 else ""
        yield claim, f"{claim.id}{place}"


def _transform_name(analysis: Analysis, piece: Evidence, transform: str) -> str:
    words = f"{piece.name}/{transform}" if len(analysis.evidence) > 1 else transform
    return metric_name(words.replace(" · ", "."))


def _estimate(what: str, name: str, found: Estimate | Missing, confidence: float) -> dict[str, float]:
    if isinstance(found, Missing):
        return {}
    return _interval(what, name, found.shown, found.interval(confidence))


def _interval(what: str, name: str, mean: float, ends: tuple[float, float] | None) -> dict[str, float]:
    low, high = ends or (math.nan, math.nan)
    values = {f"{what}/{name}": mean, f"{what}_low/{name}": low, f"{what}_high/{name}": high}
    # A database of MLflow's would show an infinity as the largest float.
    return {key: value for key, value in values.items() if math.isfinite(value)}


def metric_name(words: str) -> str:
    """Words with only the characters that MLflow allows in the name of a metric, shortened.

    Example:
        >>> metric_name("digits mlp.adamw/clip_norm(max_norm=0.5)")
        'digits_mlp.adamw/clip_norm_max_norm_0.5'
    """
    return shortened(re.sub(r"[^A-Za-z0-9_./-]+", "_", words).strip("_/."))
