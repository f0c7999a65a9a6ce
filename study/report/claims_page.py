"""The claims ledger as a page: a table, then each verdict in sentences with its numbers and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from study.claims.sequence import CAP, FUTILE
from study.claims.verdicts import INCONCLUSIVE, NO_DIFFERENCE, SUPPORTED, Claim
from study.measures.estimate import bound_of
from study.report.outlook import takes

if TYPE_CHECKING:
    from study.analysis import Analysis


def claims_page(analysis: Analysis, behind: dict[str, Any]) -> str:
    """The page in Markdown.

    Args:
        behind: what `provenance.json` holds.
    """
    spec = analysis.plan.spec
    # A claim without a number has no row: empty columns say less than the sentence at the end of the page.
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    lines = [
        f"# Claims: {spec.name}",
        "",
        spec.description,
        "",
        "| claim | setting | estimate (comparison that decides, or keeps it open) | claimed | n | verdict |",
        "|---|---|---|---|---|---|",
        *(row(claim, planned=analysis.schedule.planned) for claim in measured),
    ]
    for claim in measured:
        lines += section(claim, spec.name)
        if (found := analysis.outlooks.get((claim.id, claim.setting))) is not None:
            lines += ["", f"It would take {takes(found)}."]
    lines += ["", "## Not decided by this study", ""]
    for claim in analysis.claims:
        if claim.estimate is None:
            about = f"*{claim.claim}*, {claim.source}"
            lines.append(f"- `{claim.id}` ({about}), on {claim.setting}: {claim.reason}")
    seeds = ", ".join(map(str, dict.fromkeys(cell.seed for cell in analysis.asked.cells)))
    confidence = f"{spec.region.confidence:.0%}"
    lines += [
        "",
        f"Seeds {seeds}. Trained by: {trained_by(behind)}. "
        f"The interval of a claim is over seeds, and is the one that decides it: with {confidence} "
        f"all verdicts of the study hold together.{more_than_once(analysis)}",
        "",
        *looks_said(analysis),
    ]
    return "\n".join(lines) + "\n"


def looks_said(analysis: Analysis) -> list[str]:
    """At which looks verdicts are given, and whether that was said before the first of them."""
    schedule = analysis.schedule
    counts = ", ".join(str(look.seeds) for look in schedule.looks)
    how = "named in the spec" if schedule.planned else "as they came; the spec names none"
    lines = [f"Looks at the claims, by complete seeds: {counts} ({how})."]
    for line in analysis.registration.lines:
        lines += ["", line]
    if noted := analysis.registration.noted:
        lines += ["", f"The first rules were `{noted[0][0]}`."]
    return lines


def more_than_once(analysis: Analysis) -> str:
    """What holds where verdicts may have been seen by several sets of rules; empty where it was one."""
    sets = analysis.registration.sets
    if sets == 1:
        return ""
    return (
        f" They may have been seen by {sets} sets of rules, each of which has that error of its own, so that "
        f"with {analysis.confidence:.0%} all of them hold."
    )


def row(claim: Claim, *, planned: bool) -> str:
    """A claim's row of the table."""
    estimate = f"{shown_estimate(claim)}, {claim.against}"
    return (
        f"| `{claim.id}` | {claim.setting} | {estimate} | {claimed(claim)} | {claim.n_seeds} "
        f"| **{claim.verdict}**{ended(claim, planned=planned)} |"
    )


def ended(claim: Claim, *, planned: bool) -> str:
    """Why an undecided claim gets no further seeds, as ` (futile)`; empty where it may get some.

    Args:
        planned: the study names its looks. Otherwise nobody knows whether seeds will be added.
    """
    return f" ({claim.standing})" if planned and claim.standing in (FUTILE, CAP) else ""


def section(claim: Claim, study: str) -> list[str]:
    """A verdict in sentences."""
    # Not `capitalize`, which would make the names of transforms and units in the rest lower case.
    reason = claim.reason[0].upper() + claim.reason[1:]
    return [
        "",
        f"## {claim.id}: {claim.verdict}",
        "",
        f"*{claim.claim}* ({claim.source}). On {claim.setting}: {claim.measure}.",
        "",
        f"{sentence(claim)} {reason}",
        "",
        behind_it(claim, study),
    ]


def trained_by(behind: dict[str, Any]) -> str:
    """How many cells were trained with which versions, on which device."""
    parts = []
    for one in behind["trained_by"]:
        facts = ", ".join(f"{key} {value}" for key, value in one.items() if key != "cells")
        parts.append(f"{one['cells']} cells: {facts}")
    return "; ".join(parts)


def sentence(claim: Claim) -> str:
    """The verdict with its number.

    `Refuted: against none it is 0.87 x [0.8, 0.95] over 5 seeds, where the claim says above 1.`
    """
    rest = {
        SUPPORTED: "; this and every other comparison lies on the claim's side",
        NO_DIFFERENCE: "; that is no difference that matters",
        INCONCLUSIVE: "; that is not enough for a verdict",
    }
    known = bound_of(
        lower=claim.lower_bound, upper=claim.upper_bound, at_least="at least ", at_most="at most "
    )
    interval = f" [{claim.interval[0]:.3g}, {claim.interval[1]:.3g}]" if claim.interval else ""
    unit = f" {claim.unit}" if claim.unit else ""
    number = f"{known}{claim.estimate:.3g}{interval}{unit}"
    side = "above" if claim.above else "below"
    return (
        f"{claim.verdict.capitalize()}: {claim.against} it is {number} over {claim.n_seeds} seeds, "
        f"where the claim says {side} {claim.threshold:.3g}{rest.get(claim.verdict, '')}."
    )


def behind_it(claim: Claim, study: str) -> str:
    """How to see the cells of a verdict."""
    text = f"{len(claim.cells)} cells stand behind this; their keys are in `claims.json`"
    if not claim.runs or not claim.cells:
        return f"{text}."
    return (
        f"{text}, and beside them the ids of the {len(claim.runs)} MLflow runs that show them: "
        f"in the experiment `{study}` of `study ui`, search for `tags.cell_key = '{claim.cells[0]}'`."
    )


def shown_estimate(claim: Claim) -> str:
    """`≥ 1.02 [0.9, 1.15] x`, or a dash."""
    if claim.estimate is None:
        return "–"
    span = f" [{claim.interval[0]:.3g}, {claim.interval[1]:.3g}]" if claim.interval else ""
    unit = f" {claim.unit}" if claim.unit else ""
    bound = bound_of(lower=claim.lower_bound, upper=claim.upper_bound)
    return f"{bound}{claim.estimate:.3g}{span}{unit}"


def claimed(claim: Claim) -> str:
    """`> 1`, or nothing where nothing was measured."""
    if claim.threshold is None:
        return ""
    return f"{'>' if claim.above else '<'} {claim.threshold:.3g}"
