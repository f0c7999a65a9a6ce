"""Verbs that print what is concluded from stored cells, and write nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from study.cli.cluster import refuse_local, status_there
from study.cli.options import AllowOption, ClusterOption, HomeOption, JsonOption, SpecArgument
from study.cli.output import emit, end, out, say
from study.home import DEFAULT_HOME, Home
from study.report.amounts import amount
from study.report.terminal.pasted import nothing_stored
from study.report.terminal.working import working

if TYPE_CHECKING:
    from study.analysis import Analysis


def stored_analysis(spec: str, home: Path, allow: list[str] | None) -> Analysis:
    """What a home has of the study of that name or file, with all that follows from it."""
    from study.stored import damaged_lines, read, spec_of

    with working(f"reading what is stored of {spec}"):
        found = read(spec_of(spec, Home(home), allow), Home(home))
    if lines := damaged_lines(found.damaged):
        lines.append("they are left out here; a launch trains these cells again")
        say(lines, Console(stderr=True, emoji=False))
    return found


def status(
    context: typer.Context,
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the cells that are finished, diverged, failed and pending."""
    if cluster is not None:
        refuse_local(context, ("home",))
        raise typer.Exit(status_there(cluster, spec, allow, as_json=as_json))
    from study import stored
    from study.report.plain.counts import status_values
    from study.report.terminal.counts import status_lines

    found = stored.status(stored.spec_of(spec, Home(home), allow), Home(home))
    if as_json:
        emit(status_values(found))
    else:
        say(status_lines(found))
        if found.counts["pending"] == found.cells:
            say([nothing_stored(found.study, spec, home, allow or ())])
    end(complete=found.complete)


def analyse(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    measures: Annotated[
        bool, typer.Option("--measures", help="Print every measure and importance of every transform.")
    ] = False,
    specification: Annotated[
        bool, typer.Option("--specification", help="Print every claim's verdict under other thresholds.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Say how to open the Optuna storage; starts nothing.")
    ] = False,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the best of each transform, regions, importances and the claims ledger of what is stored."""
    analysis = stored_analysis(spec, home, allow)
    with working(f"analysing {amount(len(analysis.stored), 'cell')}"):
        from study.report.plain.best import best_values
        from study.report.plain.claims import claims, specification_values
        from study.report.plain.regions import regions
        from study.report.terminal.best import best_table
        from study.report.terminal.claims import claims_table
        from study.report.terminal.closing import dashboard_lines
        from study.report.terminal.importances import importances_table
        from study.report.terminal.measures import measures_table
        from study.report.terminal.regions import regions_table
        from study.report.terminal.specification import specification_table

        found: dict[str, Any] = {}
        tables: list[RenderableType] = []
        lines = dashboard_lines(analysis, Home(home))
        if as_json:
            found |= {
                "cells": analysis.counts,
                "regions": list(regions(analysis)),
                "claims": claims(analysis),
                "rules": analysis.registration.lines,
            }
            if specification:
                found["specification"] = specification_values(analysis)
            if dashboard:
                found["dashboard"] = lines
            found["best"] = best_values(analysis)
        elif analysis.stored and not dashboard:
            tables += [best_table(analysis), regions_table(analysis), claims_table(analysis)]
            if specification:
                tables.append(specification_table(analysis))
            if measures:
                tables += [measures_table(analysis), importances_table(analysis)]
    if as_json:
        emit(found)
    elif analysis.stored or dashboard:
        for one in tables:
            out.print(one, highlight=False)
        say(lines)
    else:
        say([nothing_stored(analysis.plan.spec.name, spec, home, allow or ())])
    end(complete=analysis.complete)


def twins(
    spec: SpecArgument,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            help="Seeds under each name; default: as many as leave four names, at least region.least_seeds.",
        ),
    ] = None,
    replicates: Annotated[
        int, typer.Option("--replicates", help="How many twin studies are judged.", min=1, max=100_000)
    ] = 200,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often this study's verdicts err, on its own cells: one transform under several names."""
    from study.claims.twins import measure_twins
    from study.report.plain.twins import twins_values
    from study.report.terminal.twins import telling, twins_table

    analysis = stored_analysis(spec, home, allow)
    name = analysis.plan.spec.name
    with telling(Console(stderr=True, emoji=False)) as tell:
        found = measure_twins(
            analysis.landscapes,
            analysis.plan.spec.region,
            analysis.rules,
            study=name,
            seeds=seeds,
            replicates=replicates,
            tell=tell,
        )
    if as_json:
        emit(twins_values(name, found))
    else:
        out.print(twins_table(name, found), highlight=False)
    end(complete=analysis.complete)


def table(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the published numbers of the spec's networks and methods beside this study's."""
    from study.report.paper_tables.catalogue import KINDS

    analysis = stored_analysis(spec, home, allow)
    name = analysis.plan.spec.name
    with working(f"comparing {amount(len(analysis.stored), 'cell')} with published numbers"):
        found = [(kind, one) for kind in KINDS for one in kind.of(analysis)]
    if as_json:
        emit({"study": name, "tables": [kind.values(analysis, one) for kind, one in found]})
    elif found:
        for kind, one in found:
            out.print(kind.shown(analysis, one), highlight=False)
    else:
        known = "; ".join(f"{one.title} ({one.source})" for kind in KINDS for one in kind.tables)
        say([f"no published table is about the data of {name}; known: {known}"])
    end(complete=analysis.complete)
