"""Verbs about a whole home: its MLflow runs, whether all of it is whole, and the MLflow UI."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from study.cli.options import AllowOption, HomeOption, JsonOption, TrackerOption
from study.cli.output import emit, end, progress_console, say
from study.errors import UserError
from study.home import DEFAULT_HOME, Home
from study.report.terminal.working import working


def sync(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="[SPEC]", help="Name of a shipped spec, or a YAML file; default: every study of the home."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: TrackerOption = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring MLflow up to the ledger: write what it lacks, mend what was left unfinished; trains nothing."""
    from study.report.plain.counts import shown_values
    from study.report.terminal.closing import shown_line
    from study.run.sync import sync as run
    from study.run.sync import sync_all
    from study.stored import spec_of

    console = progress_console(as_json=as_json)
    if spec:
        found = [run(spec_of(spec, Home(home), allow), Home(home), console, tracking_uri)]
    else:
        found = sync_all(Home(home), console, tracking_uri)
    if as_json:
        emit([shown_values(one) for one in found])
    else:
        say(map(shown_line, found))
    end(complete=all(one.complete for one in found))


def check(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Say what of a home is whole: ledger, MLflow, artifacts, exports; changes and runs nothing."""
    from study.check import check as look
    from study.report.plain.check import check_values
    from study.report.terminal.check import check_lines

    with working("looking at ledger, MLflow, artifacts and exports"):
        found = look(Home(home))
    if as_json:
        emit(check_values(found))
    else:
        say(check_lines(found))
    if not found.readable:
        raise typer.Exit(1)
    end(complete=found.whole)


def ui(
    home: HomeOption = DEFAULT_HOME,
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A name or address by which browsers may reach it; repeatable."),
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Open the page of the latest study in a browser.")
    ] = False,
) -> None:
    """Serve the MLflow UI of a home until Ctrl-C, and say where each study's page is."""
    from study.report.terminal.ui import starting_line, ui_lines
    from study.run import live_pages
    from study.run.mlflow_ui import address, addresses, answered, refuse_taken, serve
    from tracking.mlflow_listing import pages

    place = Home(home)
    hosts = answered(host, name or [])
    if not place.mlflow_database.exists():
        raise UserError(
            f"home {home}: there is no MLflow database yet; launch a study first, or name another with --home"
        )
    refuse_taken(host, port)
    from study.run.sync import open_database

    say([starting_line(home)])
    open_database(place, lambda told: say([told, "to write its runs: study sync"]))
    studies, at = pages(f"{place.mlflow_database.resolve().as_uri()}?mode=ro"), address(host, port, hosts)
    found = addresses(at, studies)
    beside = live_pages.start(place, host, port + 1, hosts)
    live = "" if beside is None else address(host, beside, hosts)
    # The server takes this process over. What is not flushed before would be lost.
    sys.stdout.flush()
    serve(
        place,
        host,
        port,
        hosts,
        ui_lines(home, at, found, live, plain=[name for name, _, view in studies if not view]),
        opened=next(iter(found.values()), at) if open_ else "",
    )
