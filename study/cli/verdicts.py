"""The verb that puts several studies together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.cli.options import AllowOption, JsonOption
from study.cli.output import emit, end, out
from study.cli.stored import stored_analysis
from study.errors import UserError
from study.home import DEFAULT_HOME
from study.report.terminal.pasted import nothing_stored
from study.report.terminal.working import working

if TYPE_CHECKING:
    from study.analysis import Analysis

HOME_VARIABLE = "STABILITY_STUDY_HOME"


def fullest(found: Mapping[Path, Analysis]) -> dict[Path, Analysis]:
    """The homes that have cells of a study, without those of which another has every cell."""
    kept: dict[Path, Analysis] = {}
    for home, one in sorted(found.items(), key=lambda item: -len(item[1].stored)):
        if one.stored and not any(one.stored.keys() <= other.stored.keys() for other in kept.values()):
            kept[home] = one
    return {home: one for home, one in found.items() if home in kept}


def verdicts(
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC", help="Names of shipped specs, or YAML files.")
    ],
    homes: Annotated[
        list[Path] | None,
        typer.Option(
            "--home",
            help=f"Folder to read from; repeatable. Default: {HOME_VARIABLE}, or {DEFAULT_HOME}.",
        ),
    ] = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print every claim over all settings of several studies: whether it holds here, and in general."""
    from study.claims.generality import over_settings
    from study.claims.tasks import asked_in
    from study.report.plain.generality import generality_values
    from study.report.terminal.generality import generality_table

    # Not typer's own: of an option with several values it would split the variable at colons.
    places = list(dict.fromkeys(homes or [Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)]))
    read: list[tuple[str, Path, Analysis]] = []
    for spec in dict.fromkeys(specs):
        found = {home: stored_analysis(spec, home, allow) for home in places}
        stored = fullest(found)
        name = found[places[0]].plan.spec.name
        if not stored:
            raise UserError("\n".join(nothing_stored(name, spec, home, allow or ()) for home in places))
        for home, one in stored.items():
            read.append((name if len(stored) == 1 else f"{name} in {home}", home, one))
    asked = []
    with working(f"judging the claims of {', '.join(specs)}"):
        for source, (name, _, one) in enumerate(read):
            asks = one.judgement.questions
            answers = [(claim, asks[claim.id, claim.setting]) for claim in one.judged]
            asked += asked_in(name, source, one.landscapes, one.rules, answers, one.plan.spec.region)
        together = over_settings(asked, max(one.plan.spec.region.confidence for _, _, one in read))
    measured = {one.id for one in together.claims}
    judged = [claim for _, _, one in read for claim in one.judged]
    silent = list(dict.fromkeys(claim.id for claim in judged if claim.id not in measured))
    if as_json:
        studies = [(one.plan.spec.name, home, one.registration.lines) for _, home, one in read]
        emit(generality_values(together, studies, silent))
    else:
        rules = {name: one.registration.lines for name, _, one in read}
        out.print(generality_table(together, [name for name, _, _ in read], silent, rules), highlight=False)
    end(complete=all(one.complete for _, _, one in read))
