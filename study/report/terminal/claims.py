"""The claims of a study as a table."""

from __future__ import annotations

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.claims.catalogue import CLAIMS
from study.claims.specification import decided
from study.report.claims_page import claimed, ended, shown_estimate
from study.report.outlook import HEADING, taken
from study.report.terminal.layout import block_row, titled

COLOURS = {"supported": "green", "refuted": "red", "no difference": "cyan", "inconclusive": "yellow"}


def claims_table(analysis: Analysis) -> Group:
    """One row per measured claim, in blocks where there are several settings.

    Below, the verdicts that other thresholds change, what the undecided ones would take, and what the claims
    without a number need.
    """
    several, planned = len(analysis.evidence) > 1, analysis.schedule.planned
    spec = analysis.plan.spec
    sure = f"{analysis.confidence:.0%} for all together"
    table = titled(f"Claims of {spec.name} (the interval that decides, {sure})")
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    # Where there is little room estimates wrap, and settings. Ids and verdicts stay whole.
    longest = max((len(claim.id) for claim in measured), default=0)
    table.add_column("claim", min_width=longest + 2 * several)
    for name in ("estimate", "claimed", "seeds", "verdict"):
        table.add_column(name, no_wrap=name != "estimate")
    for setting in dict.fromkeys(claim.setting for claim in measured):
        if several:
            block_row(table, setting)
        for claim in (one for one in measured if one.setting == setting):
            row = [
                f"  {claim.id}" if several else claim.id,
                f"{shown_estimate(claim)}, {claim.against}",
                claimed(claim),
                str(claim.n_seeds),
            ]
            verdict = f"{claim.verdict}{ended(claim, planned=planned)}"
            table.add_row(*map(escape, row), f"[{COLOURS[claim.verdict]}]{verdict}[/]")
    undecided = undecided_lines(analysis)
    # Where no claim has a number there is nothing to head with columns.
    if not table.row_count:
        return Group(*undecided, "")
    takes = [escape(line) for line in taken(analysis)]
    head, foot = ([HEADING], [""]) if takes else ([], [])
    fragile = fragile_lines(analysis, several=several)
    rules = [escape(line) for line in analysis.registration.lines]
    return Group(table, *rules, *fragile, *head, *takes, *foot, *undecided, "")


def undecided_lines(analysis: Analysis) -> list[str]:
    """The claims without a number: what each lacks, and in one line those whose transform is not there."""
    rules = {**CLAIMS, **analysis.rules}
    there = {landscape.method for landscape in analysis.landscapes}
    absent: dict[str, str] = {}
    # By reason and id: many claims lack the same, and one that lacks it in every setting is listed once.
    needs: dict[str, dict[str, None]] = {}
    for claim in analysis.claims:
        if claim.estimate is not None:
            continue
        method = rules[claim.id].method
        if method in there:
            needs.setdefault(claim.missing or claim.reason, {})[claim.id] = None
        else:
            absent[claim.id] = method
    lines = []
    if needs:
        lines.append("Not decidable by this study, and what is missing:")
        lines += [escape(f"  {', '.join(names)}: {what}") for what, names in needs.items()]
    if absent:
        methods = ", ".join(dict.fromkeys(absent.values()))
        count = f"{len(absent)} claims are" if len(absent) > 1 else "1 claim is"
        lines.append(escape(f"{count} about transforms that this study does not have: {methods}"))
    return lines


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
