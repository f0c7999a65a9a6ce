"""What the command line prints of a study."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.analysis import Analysis
from study.comparison import SideBySide
from study.home import DEFAULT_HOME, Home
from study.launch_result import Launch
from study.measures.catalogue import MEASURES, measured, unit_of
from study.measures.estimate import Missing, exponential, worded
from study.measures.importance import DIVERGED_ENTER, INTERACTION, QUESTIONS, SCORE
from study.papers.agreement import RULE, rows
from study.papers.tables import PublishedTable
from study.report.claims_page import claimed, shown_estimate
from study.report.durations import clock
from study.stored import Shown

SHOWN = (
    "trained lr width (own best)",
    "trained area (own best)",
    "competitive lr width (own best)",
    "competitive area (own best)",
    "divergence share",
)
"""Measures in the first table."""
COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


def claims_table(analysis: Analysis) -> Group:
    """One row per measured claim: estimate with interval, what the claim says, n, verdict; below them what the others need."""
    several = len(analysis.evidence) > 1
    spec = analysis.plan.spec
    table = Table(
        title=f"Claims of {spec.name} ({spec.region.confidence:.0%} intervals over seeds; hardest comparison)",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("claim", *(("setting",) if several else ()), "estimate", "claimed", "n", "verdict"):
        table.add_column(name, no_wrap=name not in ("estimate", "setting"))
    needs: dict[str, str] = {}
    for claim in analysis.claims:
        if claim.estimate is None:
            needs[claim.id] = claim.missing or claim.reason.removesuffix(".")
            continue
        row = [
            claim.id,
            *([claim.setting] if several else []),
            escape(f"{shown_estimate(claim)}, {claim.against}"),
            claimed(claim),
            str(claim.n_seeds),
        ]
        table.add_row(*row, f"[{COLOURS[claim.verdict]}]{claim.verdict}[/]")
    return Group(
        table,
        "Not decidable by this study, and what is missing:",
        *(f"  {name}: {escape(what)}" for name, what in needs.items()),
        "",
    )


def regions_table(analysis: Analysis) -> Group:
    """One row per transform: sizes of its trained and competitive regions against its own best, and its divergence share."""
    confidence = analysis.plan.spec.region.confidence
    several = len(analysis.evidence) > 1
    title = f"Regions of {analysis.plan.spec.name} (own best; widths in decades, areas in decades²; {confidence:.0%} intervals over seeds; ≥ touches the border)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in (
        *(("setting",) if several else ()),
        "transform",
        "n",
        "trained: lr width",
        "area",
        "competitive: lr width",
        "area",
        "diverged",
        "fANOVA lr | wd",
    ):
        table.add_column(name, overflow="fold", no_wrap=name == "transform")
    missing: set[str] = set()
    for case in analysis.cases:
        piece, name = case.evidence, case.landscape.transform
        answers = [measured(case, measure) for measure in SHOWN]
        missing |= {answer.reason for answer in answers if isinstance(answer, Missing)}
        shares = next(
            (
                one.shares
                for other, one in analysis.importances
                if other is piece and one.transform == name and one.evaluator == "fanova" and one.of == SCORE
            ),
            {},
        )
        row = [
            *([piece.name] if several else []),
            name,
            str(len(case.landscape.seeds)),
            *("–" if isinstance(one, Missing) else worded(one, confidence, digits=".2f") for one in answers),
        ]
        table.add_row(
            *map(escape, row),
            " | ".join(f"{shares[axis]:.0%}" for axis in ("lr", "weight_decay")) if shares else "–",
        )
    return Group(table, *(f"–: {escape(reason)}" for reason in sorted(missing)))


def measures_table(analysis: Analysis) -> Group:
    """Every measure of every transform, with its interval; below, why others are missing."""
    confidence = analysis.plan.spec.region.confidence
    blocks: list[Table | str] = []
    several = len(analysis.evidence) > 1
    for name in MEASURES:
        found = [(case, measured(case, name)) for case in analysis.cases]
        reasons = {answer.reason for _, answer in found if isinstance(answer, Missing)}
        if all(isinstance(answer, Missing) for _, answer in found):
            blocks.append(f"{name}: {'; '.join(sorted(reasons))}")
            continue
        table = Table(box=None, pad_edge=False, show_header=False)
        for case, answer in found:
            shown = answer.reason if isinstance(answer, Missing) else worded(answer, confidence)
            table.add_row(
                "  ",
                *([case.evidence.name] if several else []),
                escape(case.landscape.transform),
                escape(shown),
            )
        blocks += [escape(f"{name} [{unit_of(found[0][0], name)}]"), table, ""]
    return Group(
        f"Measures of {analysis.plan.spec.name} ({confidence:.0%} intervals over seeds; ≥ and ≤ are bounds)",
        "",
        *blocks,
    )


def importances_table(analysis: Analysis) -> Group:
    """What lr and weight decay explain: of the score, and of the difference to the baseline; beside it, how diverged cells enter."""
    table = Table(
        title="Importances (shares of the main effects; interaction: of the variance that a forest explains)",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in (
        "transform",
        "of",
        "fANOVA lr | wd",
        "lr x wd",
        "PED-ANOVA lr | wd",
        "diverged, entering as",
    ):
        table.add_column(name, overflow="fold")
    several = len(analysis.evidence) > 1
    for piece in analysis.evidence:
        for name in piece.landscapes:
            for of, enters in DIVERGED_ENTER.items():
                mine = {
                    one.evaluator: one
                    for other, one in analysis.importances
                    if other is piece and one.transform == name and one.of == of
                }
                if mine:
                    shares = [
                        "not decidable: one value of an axis, or all scores equal"
                        if not one.shares
                        else " | ".join(f"{share:.0%}" for share in one.shares.values())
                        for one in mine.values()
                    ]
                    both = mine["fanova"].interaction
                    shown = (
                        f"{piece.name} " * several + name,
                        of,
                        shares[0],
                        "–" if both is None else f"{both:.0%}",
                        shares[1],
                        f"{mine['fanova'].diverged_share:.0%}, {enters}",
                    )
                    table.add_row(*map(escape, shown))
    answers = [f"{name}: {question}" for name, question in QUESTIONS.items()]
    return Group(table, *answers, f"lr x wd: {INTERACTION}", "")


def comparison_table(comparison: SideBySide, confidence: float) -> Group:
    """One row per measure: both, their difference and ratio; below, why others are missing."""
    title = f"{comparison.setting}: {comparison.a} and {comparison.b}, {comparison.pairing} ({confidence:.0%} intervals)"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("measure", comparison.a, comparison.b, "difference", "ratio"):
        table.add_column(escape(name), overflow="fold")
    missing: dict[str, list[str]] = {}
    for one in comparison.measures:
        if isinstance(one.difference, Missing):
            missing.setdefault(one.difference.reason, []).append(one.measure)
            continue
        sides = [
            side.reason if isinstance(side, Missing) else worded(side, confidence) for side in (one.a, one.b)
        ]
        ratio = worded(one.ratio, confidence, exponential) if one.ratio else ""
        table.add_row(
            f"{one.measure} \\[{one.unit}]", *map(escape, (*sides, worded(one.difference, confidence), ratio))
        )
    return Group(
        table,
        *(f"not compared ({escape(reason)}): {', '.join(names)}" for reason, names in missing.items()),
        "",
    )


def published_table(analysis: Analysis, table: PublishedTable) -> Group:
    """A paper's numbers beside this study's, row by row; below, why rows do not agree or were not run, and what the paper leaves open."""
    confidence, recipe, found = analysis.plan.spec.region.confidence, table.recipe, rows(analysis, table)
    several = len(found) > len(table.rows)
    title = f"{table.source}, {table.title} [{table.unit}], at lr {recipe.lr:g} and weight decay {recipe.weight_decay:g}, beside {analysis.plan.spec.name} ({confidence:.0%} intervals over seeds)"
    shown = Table(
        title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for name in (
        "network",
        *(("setting",) if several else ()),
        "method",
        "here",
        "paper",
        "last step",
        "best point",
        "n",
        "",
    ):
        longest = (
            max(len(word) for row in found for word in row.published.method.split())
            if name == "method"
            else None
        )
        shown.add_column(name, overflow="fold", no_wrap=name not in ("setting", "method"), min_width=longest)
    why: dict[tuple[str, str], int] = {}
    for row in found:
        numbers = [
            "–" if one is None else worded(one, confidence, digits=f".{table.decimals}f")
            for one in (row.last, row.best)
        ]
        one = row.published
        where = (one.model, *((row.setting,) if several else ()), one.method, one.transform)
        shown.add_row(
            *map(
                escape,
                (
                    *where,
                    f"{one.value:.{table.decimals}f}",
                    *numbers,
                    str(row.n_seeds) if row.n_seeds else "–",
                    row.agreement,
                ),
            )
        )
        why[row.agreement, row.reason] = why.get((row.agreement, row.reason), 0) + 1
    seeds = (
        "no number of seeds, so that a number may be a single run"
        if table.seeds is None
        else f"{table.seeds} seeds"
    )
    reasons = [
        f"  {agreement} ({count} row{'s' * (count > 1)}): {escape(reason)}"
        for (agreement, reason), count in why.items()
    ]
    return Group(
        shown,
        *reasons,
        f"The paper gives {seeds}. It leaves open: {escape('; '.join(table.unknown))}.",
        f"{RULE}.",
        "",
    )


def dashboard_lines(analysis: Analysis, home: Home) -> list[str]:
    """How to open the Optuna storage of a study."""
    from importlib.util import find_spec

    path = home.optuna(analysis.plan.spec.name)
    if not path.exists():
        return [f"there is no Optuna storage at {path} yet: a launch writes it when it ends"]
    known = find_spec("optuna_dashboard") is not None
    installed = (
        "optuna-dashboard is installed"
        if known
        else "optuna-dashboard is not installed; it comes with: pip install 'stability-study[dashboard]'"
    )
    return [
        f"to browse settings and importances: optuna-dashboard sqlite:///{path.resolve()}",
        f"({installed})",
    ]


def closing_lines(ended: Launch, spec: str, home: Path) -> list[str]:
    """The last words of a launch."""
    counts = ended.analysis.counts
    lines = [
        f"{ended.trained} cells trained in {clock(ended.seconds)}; "
        + ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    ]
    lines += [f"failed tile: {escape(reason)}" for reason in ended.failures[:3]]
    where = "" if home == DEFAULT_HOME else f" --home {home}"
    if ended.interrupted:
        return [*lines, f"stopped; what finished is kept. Go on with: study launch {spec}{where}"]
    if ended.trouble:
        lines.append(
            f"MLflow was away ({escape(ended.trouble)}); nothing is lost, send it later with: study sync {spec}{where}"
        )
    return [
        *lines,
        f"heatmaps: {ended.exports / 'heatmaps'}",
        f"everything else: {ended.exports}",
        f"MLflow has {ended.mlflow_runs} cells"
        + (f"; to browse them: study ui{where}" if ended.own_tracker else ""),
    ]


def shown_line(shown: Shown) -> str:
    """How much of a study its tracker has."""
    trouble = f"; {escape(shown.trouble)}; run it again when MLflow is reachable" if shown.trouble else ""
    return f"{shown.study}: MLflow has {shown.runs} of {shown.stored} stored cells{trouble}"
