"""The claims of a study as a table."""

from __future__ import annotations

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.claims.specification import decided
from study.report.claims_page import claimed, shown_estimate
from study.report.terminal.layout import titled

COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


def claims_table(analysis: Analysis) -> Group:
    """One row per measured claim: estimate, what the claim says, n, verdict.

    Below, the verdicts that other thresholds change, and what the claims without a number need.
    """
    several = len(analysis.evidence) > 1
    spec = analysis.plan.spec
    confidence = f"{spec.region.confidence:.0%} intervals over seeds"
    table = titled(f"Claims of {spec.name} ({confidence}; hardest comparison)")
    for name in ("claim", *(("setting",) if several else ()), "estimate", "claimed", "n", "verdict"):
        # Where there is little room only the long columns wrap, and ids and verdicts stay whole.
        table.add_column(name, no_wrap=name not in ("estimate", "setting"))
    needs: dict[str, str] = {}
    for claim in analysis.claims:
        if claim.estimate is None:
            # By id, so a claim that lacks the same in every setting is listed once.
            needs[claim.id] = claim.missing or claim.reason
            continue
        row = [
            claim.id,
            *([claim.setting] if several else []),
            f"{shown_estimate(claim)}, {claim.against}",
            claimed(claim),
            str(claim.n_seeds),
        ]
        table.add_row(*map(escape, row), f"[{COLOURS[claim.verdict]}]{claim.verdict}[/]")
    return Group(
        table,
        *fragile_lines(analysis, several=several),
        "Not decidable by this study, and what is missing:",
        *(f"  {name}: {escape(what)}" for name, what in needs.items()),
        "",
    )


def fragile_lines(analysis: Analysis, *, several: bool) -> list[str]:
    """The verdicts that other thresholds change, and how."""
    if not any(map(decided, analysis.judged)):
        return []
    lines = []
    for one in analysis.specification:
        if one.warning:
            place = f" ({one.claim.setting})" if several else ""
            lines.append(escape(f"  {one.claim.id}{place}: {one.warning}"))
    return ["Verdicts that other thresholds change:", *lines, ""] if lines else []
