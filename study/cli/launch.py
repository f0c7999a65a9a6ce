"""The verb that trains."""

from __future__ import annotations

from typing import Annotated

import typer

from study.cli.cluster import launch_there, refuse_local
from study.cli.options import AllowOption, ClusterOption, HomeOption, JsonOption, SpecArgument, TrackerOption
from study.cli.output import emit, end, out, progress_console, say
from study.home import DEFAULT_HOME, Home


def launch(
    context: typer.Context,
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    here: Annotated[bool, typer.Option("--here", help="Train in this process, without Ray.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", envvar="RAY_ADDRESS", help="An existing Ray cluster.")
    ] = None,
    tracking_uri: TrackerOption = None,
    allow: AllowOption = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Add seeds, look by look, until every claim is decided, futile or at the cap.",
        ),
    ] = False,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train what is missing, then analyse; the same command goes on after any interruption."""
    console = progress_console(as_json=as_json)
    # Before the libraries are loaded, which takes seconds.
    say([f"reading {spec}"], console)
    if cluster is not None:
        refuse_local(context)
        raise typer.Exit(
            launch_there(cluster, spec, allow, console, until_decided=until_decided, as_json=as_json)
        )
    from study.analysis import Analysis
    from study.report.plain.best import best_values
    from study.report.plain.claims import claims
    from study.report.plain.counts import launch_values
    from study.report.terminal.best import best_table
    from study.report.terminal.claims import claims_table
    from study.report.terminal.closing import closing_lines
    from study.report.terminal.pasted import FILE_MEANS, IN_FILE, same_again
    from study.run.launch import launch as run
    from study.run.launch_options import LaunchOptions
    from study.spec.read import read_spec

    def show(analysis: Analysis) -> None:
        if not as_json:
            out.print(best_table(analysis), highlight=False)
            out.print(claims_table(analysis))

    try:
        ended = run(
            read_spec(spec, allow=allow, runs=True),
            Home(home),
            console,
            LaunchOptions(here=here, address=address, tracking_uri=tracking_uri, until_decided=until_decided),
            judged=show,
        )
    except KeyboardInterrupt:
        # While data are loaded or results are drawn; in training it is no error.
        again = same_again()
        say([f"stopped; what finished is kept. Go on with: {again}"], console)
        if IN_FILE in again:
            say([FILE_MEANS], console)
        raise
    # Whoever interrupts a launch waits for it to end, and judging claims takes seconds.
    if as_json:
        judged, best = (
            ([], []) if ended.interrupted else (claims(ended.analysis), best_values(ended.analysis))
        )
        emit(launch_values(ended) | {"claims": judged, "best": best})
    else:
        say(closing_lines(ended, spec, home, tracking_uri, allow or ()))
    end(complete=ended.complete)
