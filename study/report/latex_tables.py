"""`claims.tex` and `measures.tex`: the claims ledger and every measure as LaTeX tables (booktabs)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from study.claims.verdicts import Claim
from study.measures.catalogue import MEASURES, Case, measured, unit_of
from study.measures.estimate import Missing
from study.report.claims_page import ended
from study.report.latex import PACKAGES, bounded, comment, escaped, foreign, number

if TYPE_CHECKING:
    from study.analysis import Analysis

RAGGED = r">{\raggedright\arraybackslash}"
LONG = rf"{RAGGED}p{{0.24\linewidth}}{RAGGED}p{{0.29\linewidth}}"
CLAIM_COLUMNS = rf"@{{}}{LONG}lr{RAGGED}p{{0.17\linewidth}}@{{}}"
MEASURE_COLUMNS = rf"@{{}}{RAGGED}p{{0.42\linewidth}}{RAGGED}p{{0.42\linewidth}}r@{{}}"
ROW_END = r" \\"


def claims_latex(analysis: Analysis, behind: Mapping[str, Any]) -> str:
    """The claims that have a number, one `tabular` per setting, to be used as they are or in a `table`.

    Args:
        behind: what `provenance.json` holds.
    """
    rows = [claim for claim in analysis.claims if claim.estimate is not None]
    lines = []
    # A study's ledger goes by claim; a paper shows a setting.
    for setting in dict.fromkeys(claim.setting for claim in rows):
        lines += [
            rf"\noindent\begin{{tabular}}{{{CLAIM_COLUMNS}}}",
            rf"\multicolumn{{5}}{{@{{}}p{{\linewidth}}@{{}}}}{{{escaped(setting)}}}{ROW_END}",
            r"\toprule",
            rf"claim & estimate [interval that decides] & claimed & $n$ & verdict{ROW_END}",
            r"\midrule",
            "\n\\addlinespace\n".join(
                claim_row(claim, planned=analysis.schedule.planned)
                for claim in rows
                if claim.setting == setting
            ),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    confidence = analysis.confidence
    open_ = dict.fromkeys(claim.id for claim in analysis.claims if claim.estimate is None)
    about = [
        "Estimate of the comparison that decides, or keeps it open; n: seeds. "
        f"All intervals together hold with {confidence:.0%}.",
        *([f"Not decidable by this study: {', '.join(open_)}."] if open_ else []),
    ]
    return page("Claims", analysis, behind, about, lines)


def claim_row(claim: Claim, *, planned: bool) -> str:
    """A claim: estimate with interval and unit, what the claim says, seeds, verdict."""
    assert claim.estimate is not None
    value = bounded(claim.estimate, claim.interval, lower=claim.lower_bound, upper=claim.upper_bound)
    side = ">" if claim.above else "<"
    claimed = f"${side} {number(claim.threshold)}$" if claim.threshold is not None else "--"
    words = ", ".join(part for part in (claim.unit, claim.against) if part)
    cells = (
        escaped(claim.id),
        f"{value} {escaped(words)}",
        claimed,
        str(claim.n_seeds),
        escaped(f"{claim.verdict}{ended(claim, planned=planned)}"),
    )
    return " & ".join(cells) + ROW_END


def measures_latex(analysis: Analysis, behind: Mapping[str, Any]) -> str:
    """Every measure of every transform, one `longtable` per setting, with a block per measure.

    Args:
        behind: what `provenance.json` holds.
    """
    lines = []
    for _, group in groupby(analysis.cases, key=lambda case: case.evidence.key):
        lines += of_setting(list(group))
    confidence = analysis.plan.spec.region.confidence
    about = [
        f"Mean over seeds with its {confidence:.0%} interval; n: seeds. "
        "The signs of bounds are those of regions that touch the border of the grid."
    ]
    return page("Measures", analysis, behind, about, lines)


def of_setting(cases: list[Case]) -> list[str]:
    """The measures of one setting; below the table, those that no transform has, and why."""
    rows, lacking = [], []
    for name in MEASURES:
        found = [(case, measured(case, name)) for case in cases]
        reasons = dict.fromkeys(answer.reason for _, answer in found if isinstance(answer, Missing))
        if all(isinstance(answer, Missing) for _, answer in found):
            lacking.append(comment(f"{name}: {'; '.join(reasons)}"))
            continue
        head = escaped(f"{name} [{unit_of(cases[0], name)}]")
        rows.append(rf"\multicolumn{{3}}{{@{{}}p{{\linewidth}}@{{}}}}{{\emph{{{head}}}}}{ROW_END}*")
        rows += [measure_row(case, name) for case in cases]
        rows.append(r"\addlinespace")
    head = rf"transform & mean [interval] & $n${ROW_END}"
    columns = [
        rf"\begin{{longtable}}{{{MEASURE_COLUMNS}}}",
        rf"\multicolumn{{3}}{{@{{}}p{{\linewidth}}@{{}}}}{{{escaped(cases[0].evidence.name)}}}{ROW_END}",
        *(r"\toprule", head, r"\midrule", r"\endfirsthead"),
        *(r"\toprule", head, r"\midrule", r"\endhead"),
        *(r"\bottomrule", r"\endlastfoot"),
    ]
    return [*columns, *rows[:-1], r"\end{longtable}", *lacking, ""] if rows else [*lacking, ""]


def measure_row(case: Case, name: str) -> str:
    """One transform: its number, or why it has none."""
    label, answer = escaped(case.landscape.title), measured(case, name)
    if isinstance(answer, Missing):
        return rf"{label} & {escaped(answer.reason)} & --{ROW_END}"
    interval = answer.interval(case.evidence.tolerances.confidence)
    value = bounded(answer.shown, interval, lower=answer.lower_bound, upper=answer.upper_bound)
    return f"{label} & {value} & {answer.n}{ROW_END}"


def page(
    what: str, analysis: Analysis, behind: Mapping[str, Any], about: Iterable[str], tables: list[str]
) -> str:
    """The file: what it needs, what its numbers are and what stands behind them, then the tables."""
    spec = analysis.plan.spec
    trained = (" ".join(f"{key} {value}" for key, value in one.items()) for one in behind["trained_by"])
    head = [
        f"{what} of {spec.name}: {spec.description}",
        *about,
        f"Seeds: {', '.join(map(str, behind['seeds']))}. Trained with: {'; '.join(trained)}.",
        f"The preamble needs: {PACKAGES}",
    ]
    if letters := "".join(dict.fromkeys(foreign("".join(line for line in tables if line[:1] != "%")))):
        head.append(f"These letters need LuaLaTeX or XeLaTeX, and a font that has them: {letters}")
    return "\n".join([*map(comment, head), "", *(tables or [comment("Nothing is measured yet.")])]) + "\n"
