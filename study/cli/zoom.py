"""The verb that looks closely at the edge between trained and diverged."""

from __future__ import annotations

from typing import Annotated

import typer

from study.cli.options import AllowOption, HomeOption, JsonOption, SpecArgument, TrackerOption
from study.cli.output import emit, end, progress_console, say
from study.home import DEFAULT_HOME, Home


def zoom(
    spec: SpecArgument,
    transform: Annotated[str, typer.Option("--transform", help="As the study's tables call it.")],
    lr: Annotated[tuple[float, float], typer.Option("--lr", metavar="LOW HIGH", help="Of the window.")],
    weight_decay: Annotated[
        tuple[float, float], typer.Option("--weight-decay", metavar="LOW HIGH", help="Of the window.")
    ],
    points: Annotated[
        int, typer.Option("--points", help="Along each axis, a power of two: 16 to 1024.")
    ] = 128,
    seed: Annotated[int | None, typer.Option("--seed", help="Default: the first of the spec.")] = None,
    setting: Annotated[
        str | None, typer.Option("--setting", help="Where the spec has several: its name, or a part of it.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    here: Annotated[bool, typer.Option("--here", help="Train in this process, without Ray.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", envvar="RAY_ADDRESS", help="An existing Ray cluster.")
    ] = None,
    tracking_uri: TrackerOption = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train and draw a fine window at the edge of divergence, from coarse to fine; measure its dimension."""
    from study.plan.window import window_of
    from study.spec.read import read_spec

    console = progress_console(as_json=as_json)
    say([f"reading {spec}"], console)
    asked = read_spec(spec, allow=allow, runs=True)
    window = window_of(asked, transform, lr, weight_decay, points, seed, setting)
    from study.report.plain.zooms import zoom_values
    from study.report.terminal.pasted import same_again
    from study.report.terminal.zooms import zoom_lines
    from study.run.launch_options import LaunchOptions
    from study.run.zoom import zoom as run

    options = LaunchOptions(here=here, address=address, tracking_uri=tracking_uri)
    try:
        found = run(asked, window, Home(home), console, options)
    except KeyboardInterrupt:
        # While data are loaded or pictures are drawn; in training it is no error.
        say([f"stopped; what finished is kept. Go on with: {same_again()}"], console)
        raise
    if as_json:
        emit(zoom_values(found) | {"files": list(map(str, found.files))})
    else:
        say(zoom_lines(found))
    end(complete=found.complete)
