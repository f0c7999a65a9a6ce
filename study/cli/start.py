"""Verbs before a launch: the shipped specs, a spec of one's own, and what a launch would train."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from study.cli.options import AllowOption, HomeOption, JsonOption, SpecArgument
from study.cli.output import emit, out, say
from study.errors import UserError
from study.home import DEFAULT_HOME, Home


def specs(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print the text of this one; default: list all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the specs that ship with the package, or print one of them."""
    from study.report.terminal.pasted import suggested
    from study.spec.read import read_spec, shipped, shipped_text

    if name is not None:
        text = shipped_text(name)
        if as_json:
            emit({"name": name, "text": text})
        else:
            print(text, end="")
        return
    found = [read_spec(name) for name in shipped()]
    if as_json:
        emit(
            [
                {"name": one.name, "description": one.description, "cells": one.first_size, "most": one.size}
                for one in found
            ]
        )
        return
    for spec in found:
        most = f" (up to {spec.size:,})" if spec.size > spec.first_size else ""
        line = f"[bold]{spec.name}[/]  {spec.first_size:,} cells{most}  {escape(spec.description)}"
        out.print(line, highlight=False, soft_wrap=True)
    say([f"to see one: {suggested('specs', 'NAME')}", f"to write your own: {suggested('new', 'FILE.yaml')}"])


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: my-study.yaml.")],
    workload: Annotated[str, typer.Option("--workload", help="What is trained.")] = "digits",
    transforms: Annotated[
        list[str] | None,
        typer.Option("--transform", help="What is compared; repeat it. Default: none and three others."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Default: one for the workload.")] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="Likewise.")] = None,
) -> None:
    """Write a spec to start from, with a comment at every choice; never over a file that is there."""
    from study.report.terminal.pasted import suggested
    from study.spec.starter import write_starter

    write_starter(file, workload, model, optimizer, transforms or ())
    say([f"wrote {file}; look through it, then: {suggested('plan', str(file))}"])


def plan(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    here: Annotated[bool, typer.Option("--here", help="For a launch with --here.")] = False,
    allow: AllowOption = None,
    price: Annotated[
        float | None, typer.Option("--price", help="Of one worker's hour, in whatever money.", min=0.0)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a launch would train, about how long, and what its claims take; trains and writes nothing."""
    from study.plan.preview import preview
    from study.report.plain.counts import preview_values
    from study.report.terminal.counts import preview_lines
    from study.spec.read import read_spec
    from study.stored import next_look

    if price is not None and not math.isfinite(price):
        raise UserError(f"--price {price}: wanted a finite number")
    asked, place = read_spec(spec, allow=allow, runs=True), Home(home)
    seen = preview(asked, place, here=here, wanted=next_look(asked, place))
    if not as_json:
        say(preview_lines(seen))
    # Both load numpy and scipy, so the counts come first.
    if seen.stored:
        from dataclasses import asdict

        from study.report.terminal.plan import outlook_table
        from study.stored import read

        analysis = read(asked, place)
        if as_json:
            taken = [
                {"id": id_, "setting": setting, **asdict(found)}
                for (id_, setting), found in analysis.outlooks.items()
            ]
            emit(preview_values(seen) | {"takes": taken, "rules": analysis.registration.lines})
        else:
            out.print(outlook_table(analysis, seen, price))
        return
    from study.claims import power

    looks, questions = power.looks_of(seen.plan.spec), power.families(seen.plan.spec)
    chances = power.power_table(seen.plan.spec)
    if as_json:
        table = [{"effect": effect, "chances": list(row)} for effect, row in chances.items()]
        emit(preview_values(seen) | {"power": table, "questions": questions})
    else:
        from study.report.terminal.plan import power_table

        out.print(power_table(chances, looks, questions))
