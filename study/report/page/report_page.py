"""The page of a study: what is gathered for it, and how it becomes one file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.analysis import Analysis
from study.best import Best
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.papers.agreement import printed_cell, tables_of
from study.report.amounts import amount, lengths
from study.report.claims_page import trained_by
from study.report.page.cells import STATE_WORDS, points_of, setting_values
from study.report.page.dynamics import dynamics
from study.report.page.maps import Panel, geometry_of, panel
from study.report.page.measured import Measures, Reached, measures, of_setting, reached
from study.report.page.scale import ramp
from study.report.page.slices import Slices, slices
from study.report.page.verdicts import verdicts
from study.report.page.views import CODES, DIGITS, View, views
from study.report.page.wording import number, span
from study.report.paper_tables.scores import published_values
from study.spec.strict_json import strict_json

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """What the page shows of one setting."""

    name: str
    n_seeds: int
    view: View
    panels: list[Panel]
    reached: list[Reached]
    measures: Measures
    slices: list[Slices]
    stars: bool

    @property
    def patterns(self) -> list[tuple[str, str]]:
        """Letter and meaning of the patterns that occur in any view."""
        seen = set("".join(self.view.letters))
        return [(letter, kind) for kind, letter in CODES.items() if letter in seen]


def report_page(
    analysis: Analysis,
    regions: Sequence[Mapping[str, Any]],
    behind: Mapping[str, Any],
    *,
    reloads: int = 0,
) -> str:
    """The page as HTML.

    Args:
        regions: what `regions.json` holds. behind: what `provenance.json` holds.
        reloads: after how many seconds a server has the page reloaded, which it then says; 0 for never [s].
    """
    spec, confidence = analysis.plan.spec, analysis.plan.spec.region.confidence
    points = points_of(analysis.pictured)
    sections, values = [], []
    for piece in analysis.evidence:
        shown = [one for one in analysis.pictured if one.setting == piece.key]
        seen = views(shown)
        bests = bests_of(analysis, piece)
        printed = printed_cell(analysis, shown[0])
        sections.append(section(piece, shown, seen[0], bests, of_setting(regions, piece.key), printed))
        at = geometry_of(shown[0])
        values.append(setting_values(piece.name, shown, at, seen, analysis.runs, points))
    style, script = (asset(name) for name in ("page.css", "page.js"))
    page = template().render(
        spec=spec,
        reloads=reloads,
        style=style,
        script=script,
        policy=policy(style, script),
        confidence=f"{confidence:.0%}",
        lengths=lengths(analysis.plan.spec),
        counts=[amount(count, name) for name, count in counted(analysis).items()],
        outcomes=[f"{count:,} {name}" for name, count in analysis.counts.items() if count],
        claims=verdicts(analysis),
        sections=sections,
        several=len(sections) > 1,
        dynamics=dynamics(analysis),
        published=[published_values(analysis, table) for table in tables_of(analysis)],
        trained_by=trained_by(dict(behind)),
        schedule=analysis.schedule,
        registration=analysis.registration,
        together=f"{analysis.confidence:.0%}",
        behind=behind,
        written_spec=strict_json(behind["spec"], indent=1),
        levels=DIGITS,
        number=number,
        printed_number=lambda value, decimals: f"{value:.{decimals}f}",
        scored=scored,
        curves_left_out=bool(analysis.stored) and not points,
        data=for_script({"states": STATE_WORDS, "settings": values}),
    )
    # The macros at the top of the template leave empty lines, and a page begins with its type.
    return page.lstrip()


def section(
    piece: Evidence,
    shown: Sequence[Landscape],
    view: View,
    bests: Mapping[str, Best],
    entries: Sequence[Mapping[str, Any]],
    printed: tuple[int, int] | None,
) -> Section:
    """One setting."""
    here = [bests.get(one.transform) for one in shown]
    found = list(bests.values())
    return Section(
        piece.name,
        piece.n_seeds,
        view,
        [panel(one, piece, view, k, here[k], printed) for k, one in enumerate(shown)],
        reached(piece, found, piece.tolerances.confidence),
        measures(entries, {one.transform: one.title for one in shown}),
        slices(piece, bests),
        any(one.borders for one in found),
    )


def bests_of(analysis: Analysis, piece: Evidence) -> dict[str, Best]:
    """What each transform of a setting reached, by its label."""
    return {one.case.landscape.transform: one for one in analysis.reached if one.case.evidence is piece}


def counted(analysis: Analysis) -> dict[str, int]:
    """How large the study is."""
    spec = analysis.plan.spec
    return {
        "transform": len(spec.transforms),
        "learning rate": len(spec.lr),
        "weight decay": len(spec.weight_decay),
        "seed": max((len(one.seeds) for one in analysis.pictured), default=0),
        "cell": len(analysis.asked.cells),
    }


def scored(found: Mapping[str, Any] | None) -> str:
    """A score of a published table's row, with its interval."""
    return f"{number(found['estimate'])} {span(found['interval'])}".strip() if found else "–"


def policy(style: str, script: str) -> str:
    """What the browser may load and run: nothing but this style and this script, by their hashes.

    So a name that broke out of the page could still do nothing.
    """
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def for_script(value: object) -> str:
    """JSON that can stand inside of a script element, whatever words are in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    # `<` opens and closes elements even there, and a script once ended at these two line separators.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def asset(name: str) -> str:
    """A file that stands beside this one."""
    text = (HERE / name).read_text(encoding="utf-8")
    if name.endswith(".css"):
        text += "".join(f".k{letter}{{fill:{colour}}}" for letter, colour in zip(DIGITS, ramp(), strict=True))
    return text


@cache
def template() -> Template:
    """The page with its gaps. Every word that fills one is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    world = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return world.get_template("page.html")
