"""A study as a tracker's UI describes it: verdicts, links, the best of each transform, the spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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
    from study.measures.landscape import Landscape
    from study.spec.model import StudySpec

REPORT = "report.html"


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
    rest = [undecidable(analysis), best_rows(analysis), picture(files, place), spec_block(analysis.plan.spec)]
    said = "\n".join([*head(analysis, files, place), *claims_table(analysis)])
    # What does not fit is left out whole: half a table or half a spec would be read for all of it.
    for part in rest:
        if part and len(said) + len(part) + 2 <= LONGEST_NOTE:
            said += f"\n\n{part}"
    return said


def head(analysis: Analysis, files: Sequence[str], place: Place) -> list[str]:
    """How the claims came out and where everything is: folded, a description shows its first line alone."""
    found = []
    if REPORT in files:
        found.append(f"[report]({place.artifact(REPORT)})")
    maps = heatmaps(files)
    found += [f"[{'heatmap' if len(maps) == 1 else 'heatmaps'}]({place.artifact(name)})" for name in maps[:1]]
    if "claims.md" in files:
        found.append(f"[verdicts in sentences]({place.artifact('claims.md')})")
    found.append(f"[figures and files]({place.own})")
    said = [f"**{verdict_counts(analysis) or 'no verdicts'}** · {' · '.join(found)}", "", about(analysis)]
    tables = [f"[{view.name}]({place.table(name)})" for name, view in views(analysis).items()]
    said += ["", f"Tables of runs: {' · '.join(tables)}"]
    if not place.alone:
        said += ["", "Several homes have a study of this name here. This is the one that was written last."]
    return said


def about(analysis: Analysis) -> str:
    """What the study is, and how many cells it has."""
    spec = analysis.plan.spec
    counts = ", ".join(f"{count:,} {name}" for name, count in analysis.counts.items() if count)
    said = f"{plain(spec.description)}. " if spec.description else ""
    return f"{said}{amount(len(analysis.asked.cells), 'cell')}: {counts}."


def heatmaps(files: Sequence[str]) -> list[str]:
    """The pictures of landscapes among these files that a browser shows."""
    return [name for name in files if name.startswith("heatmaps/") and name.endswith(".png")]


def claims_table(analysis: Analysis) -> list[str]:
    """One row per claim that has a number."""
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    if not measured:
        return []
    several, planned = len(analysis.evidence) > 1, analysis.schedule.planned
    names = ["verdict", "claim", *(["setting"] if several else []), "estimate", "claimed", "n"]
    rows = ["", line(names), line(["---"] * len(names))]
    for one in measured:
        verdict = f"**{one.verdict}**{ended(one, planned=planned)}"
        setting = [one.setting] if several else []
        number = f"{shown_estimate(one)}, {one.against}"
        rows.append(line([verdict, f"`{one.id}`", *setting, number, claimed(one), str(one.n_seeds)]))
    return rows


def undecidable(analysis: Analysis) -> str:
    """The claims that have no number, and what the study lacks for them."""
    lacking: dict[str, list[str]] = {}
    for claim in analysis.claims:
        if claim.estimate is None:
            names = lacking.setdefault(claim.missing or claim.reason, [])
            names += [name for name in (f"`{claim.id}`",) if name not in names]
    if not lacking:
        return ""
    parts = [f"{', '.join(names)} ({plain(why)})" for why, names in lacking.items()]
    return f"**{NOT_DECIDABLE}** by this study: {'; '.join(parts)}."


def best_rows(analysis: Analysis) -> str:
    """What each transform reached: widths in decades of lr, best cell, score."""
    several, confidence = len(analysis.evidence) > 1, analysis.plan.spec.region.confidence
    names = ["transform", "trained width [decades of lr]", "competitive width", "best lr", "weight decay"]
    score = " or ".join(dict.fromkeys(one.metric_name for one in analysis.landscapes))
    names = [*(["setting"] if several else []), *names, score]
    rows = [line(names), line(["---"] * len(names))]
    for one in analysis.reached:
        setting = [one.case.evidence.name] if several else []
        found = [
            method(one.case.landscape),
            shown(one.trained, confidence, ".2f"),
            shown(one.competitive, confidence, ".2f"),
            at(one, LR, one.lr),
            at(one, WEIGHT_DECAY, one.weight_decay),
            "–" if one.lr is None else shown(one.score, confidence, ".3g"),
        ]
        rows.append(line([*setting, *found]))
    return "\n".join(rows)


def method(landscape: Landscape) -> str:
    """What a transform is called here."""
    return landscape.transform


def picture(files: Sequence[str], place: Place) -> str:
    """The heatmap of the first setting."""
    maps = heatmaps(files)
    return f"![heatmap]({place.file(maps[0])})" if maps else ""


def spec_block(spec: StudySpec) -> str:
    """The spec without what is as by default; YAML, so that it can be launched again."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    for kind in KINDS.values():
        content[kind.key] = [choice.written for choice in getattr(spec, kind.key)]
    lines = [f"{key}: {strict_json(value)}" for key, value in content.items() if value != {}]
    return "\n".join(["```yaml", *lines, "```"])


def line(parts: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(map(cell, parts))} |"


def cell(text: str) -> str:
    """A text that stays in its cell of a table, and is no mark-up of HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def plain(text: str) -> str:
    """A text of the user's as it was written: no heading, link or picture of its own."""
    kept = " ".join(text.split()).rstrip(".")
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in kept)
