"""A study as a tracker's UI describes it: verdicts, links, the best of each transform, the spec."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from study.claims.specification import decided
from study.measures.regions import LR, WEIGHT_DECAY
from study.report.amounts import amount
from study.report.claims_page import claimed, ended, shown_estimate
from study.report.terminal.best import at, shown
from study.report.tracker_figures import NOT_DECIDABLE, verdict_counts
from study.report.tracker_views import views
from study.spec.names import KINDS
from study.spec.strict_json import strict_json
from tracking.mlflow_page import LONGEST_NOTE, Page, Place

if TYPE_CHECKING:
    from study.analysis import Analysis
    from study.claims.verdicts import Claim
    from study.spec.model import StudySpec

REPORT = "report.html"
WIDE = 100
"""Characters of a line of the spec: a wider one would widen the whole page."""
MOST_WORDS, MOST_ROWS = 400, LONGEST_NOTE // 2
"""Characters of a study's own description, and of its claims' table."""


def page_of(analysis: Analysis, files: Sequence[str]) -> Callable[[Place], Page]:
    """What a study shows of itself, once it is known where.

    Args:
        files: the artifacts of its run, as paths.
    """

    def page(place: Place) -> Page:
        return Page(note(analysis, files, place), views(analysis), {"verdicts": verdict_counts(analysis)})

    return page


def note(analysis: Analysis, files: Sequence[str], place: Place) -> str:
    """The description in Markdown, with as many of its parts as it may have characters."""
    # A picture would need all of its own width, and push what stands beside it out of the window.
    said = "\n".join([first(analysis, files, place), *claims_table(analysis), *about(analysis, place)])
    parts = [undecidable(analysis), best_rows(analysis), spec_block(analysis.plan.spec)]
    left, kept = LONGEST_NOTE - len(said), set[str]()
    # What does not fit is left out whole: half a table or half a spec would be read for all of it. The spec
    # has the first place, and what each transform reached the last, because metrics and report have it too.
    for part in (parts[2], parts[0], parts[1]):
        if len(part) + 2 <= left:
            left -= len(part) + 2
            kept.add(part)
    return "\n\n".join([said, *(part for part in parts if part and part in kept)])


def first(analysis: Analysis, files: Sequence[str], place: Place) -> str:
    """How the claims came out, and where everything is: folded, a description shows its first line alone."""
    found = []
    if REPORT in files:
        found.append(f"[report]({place.artifact(REPORT)})")
    maps = heatmaps(files)
    found += [f"[{'heatmap' if len(maps) == 1 else 'heatmaps'}]({place.artifact(name)})" for name in maps[:1]]
    if "claims.md" in files:
        found.append(f"[verdicts in sentences]({place.artifact('claims.md')})")
    found.append(f"[figures and files]({place.own})")
    # Without mark-up in front: the list of experiments shows the beginning of this line as it is written.
    return f"{verdict_counts(analysis) or 'no verdicts'} · {' · '.join(found)}"


def about(analysis: Analysis, place: Place) -> list[str]:
    """What the study is, how many cells it has, and the views of their table."""
    spec = analysis.plan.spec
    counts = ", ".join(f"{count:,} {name}" for name, count in analysis.counts.items() if count)
    said = f"{plain(spec.description[:MOST_WORDS])}. " if spec.description else ""
    tables = [f"[{view.name}]({place.table(name)})" for name, view in views(analysis).items()]
    lines = ["", f"{said}{amount(len(analysis.asked.cells), 'cell')}: {counts}.", ""]
    lines.append(f"Tables of runs: {' · '.join(tables)}")
    if not place.alone:
        lines += ["", "Several homes have a study of this name here. This is the one that was written last."]
    return lines


def heatmaps(files: Sequence[str]) -> list[str]:
    """The pictures of landscapes among these files that a browser shows."""
    return [name for name in files if name.startswith("heatmaps/") and name.endswith(".png")]


def claims_table(analysis: Analysis) -> list[str]:
    """One row per claim that has a number, those that are decided first."""
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    if not measured:
        return []
    several, planned = len(analysis.evidence) > 1, analysis.schedule.planned
    names = ["verdict", "claim", *(["setting"] if several else []), "estimate", "claimed", "n"]
    head = ["", line(names), line(["---"] * len(names))]
    # Folded, a run's description shows the first row or two. Stable: within both kinds the order stays.
    ordered = sorted(measured, key=lambda claim: not decided(claim))
    kept: list[str] = []
    for one in ordered:
        said = row(one, several=several, planned=planned)
        if len("\n".join([*kept, said])) <= MOST_ROWS:
            kept.append(said)
    left = len(ordered) - len(kept)
    more = ["", f"{amount(left, 'more row')}: verdicts in sentences."] if left else []
    return [*head, *kept, *more]


def row(claim: Claim, *, several: bool, planned: bool) -> str:
    """A claim's row of the table.

    Args:
        several: the study has several settings.
        planned: it names its looks.
    """
    verdict = f"**{claim.verdict}**{ended(claim, planned=planned)}"
    number = f"{shown_estimate(claim)}, {plain(claim.against)}"
    setting = [plain(claim.setting)] if several else []
    return line([verdict, f"`{claim.id}`", *setting, number, claimed(claim), str(claim.n_seeds)])


def undecidable(analysis: Analysis) -> str:
    """The claims that have no number, and what the study lacks for them."""
    lacking: dict[str, list[str]] = {}
    for claim in analysis.claims:
        if claim.estimate is None:
            names = lacking.setdefault(claim.missing or claim.reason, [])
            names += [name for name in (f"`{claim.id}`",) if name not in names]
    if not lacking:
        return ""
    rows = [f"- {', '.join(names)}: {plain(why)}" for why, names in lacking.items()]
    return "\n".join([f"**{NOT_DECIDABLE}** by this study, for want of", "", *rows])


def best_rows(analysis: Analysis) -> str:
    """What each transform reached: widths in decades of lr, best cell, score."""
    several, confidence = len(analysis.evidence) > 1, analysis.plan.spec.region.confidence
    names = ["transform", "trained width [decades of lr]", "competitive width", "best lr", "weight decay"]
    score = " or ".join(dict.fromkeys(one.metric_name for one in analysis.landscapes))
    names = [*(["setting"] if several else []), *names, score]
    rows = [line(names), line(["---"] * len(names))]
    for one in analysis.reached:
        setting = [plain(one.case.evidence.name)] if several else []
        found = [
            plain(one.case.landscape.title),
            shown(one.trained, confidence, ".2f"),
            shown(one.competitive, confidence, ".2f"),
            at(one, LR, one.lr),
            at(one, WEIGHT_DECAY, one.weight_decay),
            "–" if one.lr is None else shown(one.score, confidence, ".3g"),
        ]
        rows.append(line([*setting, *found]))
    return "\n".join(rows)


def spec_block(spec: StudySpec) -> str:
    """The spec without its description and what is as by default; YAML, so that it can be launched again."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    for kind in KINDS.values():
        content[kind.key] = [choice.written for choice in getattr(spec, kind.key)]
    content.pop("description", None)
    lines = []
    for key, value in content.items():
        if value not in ({}, ""):
            # Inside of a text YAML reads a new line as the blank that stood there.
            lines += textwrap.wrap(
                f"{key}: {strict_json(value)}",
                WIDE,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(["```yaml", *lines, "```"])


def line(parts: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(map(cell, parts))} |"


def cell(text: str) -> str:
    """A text that stays in its cell of a table, and is no mark-up of HTML."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split())).replace("<", "&lt;")


def plain(text: str) -> str:
    """A text of the user's as it was written: no heading, link or picture of its own."""
    kept = " ".join(text.split()).rstrip(".")
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]#|!" else c for c in kept)
    return escaped.replace("<", "&lt;")
