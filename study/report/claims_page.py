"""The claims ledger as a page: a table, then each verdict in sentences with its numbers and the runs behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from study.claims.verdicts import INCONCLUSIVE, SUPPORTED, Claim

if TYPE_CHECKING:
    from study.analysis import Analysis


def claims_page(analysis: Analysis, behind: dict[str, Any]) -> str:
    """The page in Markdown.

    Args:
        behind: what `provenance.json` holds.
    """
    spec = analysis.plan.spec
    lines = [
        f"# Claims: {spec.name}",
        "",
        spec.description,
        "",
        "| claim | setting | estimate (hardest comparison) | claimed | n | verdict |",
        "|---|---|---|---|---|---|",
    ]
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    lines += [
        f"| `{c.id}` | {c.setting} | {shown_estimate(c)}, {c.against} | {claimed(c)} | {c.n_seeds} | **{c.verdict}** |"
        for c in measured
    ]
    for claim in measured:
        lines += [
            "",
            f"## {claim.id}: {claim.verdict}",
            "",
            f"*{claim.claim}* ({claim.source}). On {claim.setting}: {claim.measure}.",
            "",
            f"{sentence(claim)} {claim.reason[0].upper()}{claim.reason[1:]}",
        ]
        lines += ["", behind_it(claim, spec.name)]
    lines += ["", "## Not decided by this study", ""]
    lines += [
        f"- `{claim.id}` (*{claim.claim}*, {claim.source}), on {claim.setting}: {claim.reason}"
        for claim in analysis.claims
        if claim.estimate is None
    ]
    trained = "; ".join(
        f"{one['cells']} cells: "
        + ", ".join(f"{key} {value}" for key, value in one.items() if key != "cells")
        for one in behind["trained_by"]
    )
    lines += [
        "",
        f"Seeds {', '.join(map(str, spec.seeds))}. Trained by: {trained}. Intervals are {spec.region.confidence:.0%}, over seeds.",
    ]
    return "\n".join(lines) + "\n"


def sentence(claim: Claim) -> str:
    """The verdict with its number: `Refuted: against none it is 0.87 x [0.8, 0.95] over 5 seeds, where the claim says above 1.`"""
    side = "above" if claim.above else "below"
    rest = {
        SUPPORTED: "; this and every other comparison lies on the claim's side",
        INCONCLUSIVE: "; that is not enough for a verdict",
    }
    known = "at least " * claim.lower_bound + "at most " * claim.upper_bound
    interval = f" [{claim.interval[0]:.3g}, {claim.interval[1]:.3g}]" if claim.interval else ""
    number = f"{known}{claim.estimate:.3g}{interval}{' ' + claim.unit if claim.unit else ''}"
    return f"{claim.verdict.capitalize()}: {claim.against} it is {number} over {claim.n_seeds} seeds, where the claim says {side} {claim.threshold:.3g}{rest.get(claim.verdict, '')}."


def behind_it(claim: Claim, study: str) -> str:
    """How to see the cells of a verdict."""
    text = f"{len(claim.cells)} cells stand behind this; their keys are in `claims.json`"
    if not claim.runs or not claim.cells:
        return f"{text}."
    example = f"tags.cell_key = '{claim.cells[0]}'"
    return f"{text}, and beside them the ids of the {len(claim.runs)} MLflow runs that show them: in the experiment `{study}` of `study ui`, search for `{example}`."


def shown_estimate(claim: Claim) -> str:
    """`≥ 1.02 [0.9, 1.15] x`, or a dash."""
    if claim.estimate is None:
        return "–"
    span = f" [{claim.interval[0]:.3g}, {claim.interval[1]:.3g}]" if claim.interval else ""
    return f"{'≥ ' * claim.lower_bound}{'≤ ' * claim.upper_bound}{claim.estimate:.3g}{span}{' ' + claim.unit if claim.unit else ''}"


def claimed(claim: Claim) -> str:
    """`> 1`, or nothing where nothing was measured."""
    return "" if claim.threshold is None else f"{'>' if claim.above else '<'} {claim.threshold:.3g}"
