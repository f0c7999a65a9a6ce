"""The command line. Exit codes: 0 done, 2 the input is wrong, 3 the study is incomplete, 1 anything else."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from study.errors import PoolError, UserError
from study.home import DEFAULT_HOME, Home
from study.spec.read import read_spec, shipped
from tracking import LedgerError

if TYPE_CHECKING:
    from study.analysis import Analysis

# Everything else is imported inside the functions: with numpy or torch at the top, `study --help` would take
# seconds.

WRONG_INPUT, INCOMPLETE = 2, 3

app = typer.Typer(
    help="Hyperparameter-robustness studies of gradient transforms.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
# In a pipe rich would take 80 columns, where the tables wrap.
out = Console(width=None if sys.stdout.isatty() else 120)

SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="Name of a shipped spec, or a YAML file.")]
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="STABILITY_STUDY_HOME", help="Folder of ledger, MLflow, Optuna and exports."
    ),
]
TrackerOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        help="An MLflow server; default: the home's own database.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run a command; what the user got wrong is one message per error, without a traceback."""
    try:
        app()
    except (LedgerError, PoolError) as error:
        complain(error)
        sys.exit(1)
    except UserError as error:
        complain(error)
        sys.exit(WRONG_INPUT)


def complain(error: Exception) -> None:
    """Print an error; what a terminal cannot show, or would obey, is shown as its code."""
    lines = []
    for line in str(error).split("\n"):
        lines.append("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))
    text = escape("\n".join(lines))
    Console(stderr=True).print(f"[bold red]error[/] {text}", highlight=False, soft_wrap=True)


def say(lines: Iterable[str]) -> None:
    """Print lines unwrapped, and without reading markup: a path or a reason may hold brackets of its own."""
    out.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


def emit(value: Any) -> None:
    """Print JSON on standard output."""
    print(json.dumps(value, indent=1, allow_nan=False))


def stored_analysis(spec: str, home: Path) -> Analysis:
    """What a home has of the study of that name or file, with all that follows from it."""
    from study.stored import read, spec_of

    return read(spec_of(spec, Home(home)), Home(home))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Write to a folder of the user's choice.

    Raises:
        UserError: it is a file, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; give a folder")
    try:
        yield
    except OSError as error:
        raise UserError(
            f"--out {folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def end(*, complete: bool) -> None:
    """Leave with the exit code of a complete or an incomplete study."""
    raise typer.Exit(0 if complete else INCOMPLETE)


def progress_console(*, as_json: bool) -> Console:
    """Where progress is shown: beside the JSON and not in it."""
    return Console(stderr=True) if as_json else out


def print_version(wanted: bool) -> None:
    """Print the version and exit, whatever command follows."""
    if wanted:
        from study import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what the parts of the program do, to standard error.")
    ] = False,
) -> None:
    """Hyperparameter-robustness studies of gradient transforms."""
    if verbose:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
        for room in ("study", "tracking", "trainers"):  # not the root: MLflow's migrations alone log a page
            logging.getLogger(room).addHandler(handler)
            logging.getLogger(room).setLevel(logging.INFO)


@app.command()
def specs(as_json: JsonOption = False) -> None:
    """List the specs that ship with the package."""
    from study.spec.read import parse_spec

    found = {name: parse_spec(text, name) for name, text in shipped().items()}
    if as_json:
        emit(
            [
                {"name": name, "description": spec.description, "cells": spec.size}
                for name, spec in found.items()
            ]
        )
        return
    for name, spec in found.items():
        line = f"[bold]{name}[/]  {spec.size:,} cells  {escape(spec.description)}"
        out.print(line, highlight=False, soft_wrap=True)


@app.command()
def plan(spec: SpecArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Say what a launch would train, and about how long; trains and writes nothing."""
    from study.plan.preview import preview
    from study.report.plain.counts import preview_values
    from study.report.terminal.counts import preview_lines

    seen = preview(read_spec(spec), Home(home))
    if as_json:
        emit(preview_values(seen))
    else:
        say(preview_lines(seen))


@app.command()
def launch(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    here: Annotated[bool, typer.Option("--here", help="Train in this process, without Ray.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", envvar="RAY_ADDRESS", help="An existing Ray cluster.")
    ] = None,
    tracking_uri: TrackerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train what is missing, then analyse; the same command goes on after any interruption."""
    from study.report.plain.claims import claims
    from study.report.plain.counts import launch_values
    from study.report.terminal.claims import claims_table
    from study.report.terminal.closing import closing_lines
    from study.run.launch import launch as run

    ended = run(
        read_spec(spec),
        Home(home),
        progress_console(as_json=as_json),
        here=here,
        address=address,
        tracking_uri=tracking_uri,
    )
    # Whoever interrupts a launch waits for it to end, and judging claims takes seconds.
    if as_json:
        judged = [] if ended.interrupted else claims(ended.analysis)
        emit(launch_values(ended) | {"claims": judged})
    else:
        if not ended.interrupted:
            out.print(claims_table(ended.analysis))
        say(closing_lines(ended, spec, home))
    end(complete=ended.analysis.complete and not ended.interrupted)


@app.command()
def status(spec: SpecArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Count the cells that are finished, diverged, failed and pending."""
    from study import stored
    from study.report.plain.counts import status_values
    from study.report.terminal.counts import status_lines

    found = stored.status(stored.spec_of(spec, Home(home)), Home(home))
    if as_json:
        emit(status_values(found))
    else:
        say(status_lines(found))
    end(complete=found.complete)


@app.command()
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
    as_json: JsonOption = False,
) -> None:
    """Print regions, importances and the claims ledger of what is stored."""
    from study.report.plain.claims import claims, specification_values
    from study.report.plain.regions import regions
    from study.report.terminal.claims import claims_table
    from study.report.terminal.closing import dashboard_lines
    from study.report.terminal.importances import importances_table
    from study.report.terminal.measures import measures_table
    from study.report.terminal.regions import regions_table
    from study.report.terminal.specification import specification_table

    analysis = stored_analysis(spec, home)
    if as_json:
        found = {
            "cells": analysis.counts,
            "regions": list(regions(analysis)),
            "claims": claims(analysis),
        }
        if specification:
            found["specification"] = specification_values(analysis)
        if dashboard:
            found["dashboard"] = dashboard_lines(analysis, Home(home))
        emit(found)
    elif dashboard:
        say(dashboard_lines(analysis, Home(home)))
    elif not analysis.stored:
        say([f"nothing is stored of {analysis.plan.spec.name}; start with: study launch {spec}"])
    else:
        out.print(regions_table(analysis))
        out.print(claims_table(analysis))
        if specification:
            out.print(specification_table(analysis), highlight=False)
        if measures:
            out.print(measures_table(analysis), highlight=False)
            out.print(importances_table(analysis), highlight=False)
        say(dashboard_lines(analysis, Home(home)))
    end(complete=analysis.complete)


@app.command()
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
    as_json: JsonOption = False,
) -> None:
    """Measure how often this study's verdicts err, on its own cells: one transform under several names."""
    from study.claims.twins import measure_twins
    from study.report.plain.twins import twins_values
    from study.report.terminal.twins import telling, twins_table

    analysis = stored_analysis(spec, home)
    name = analysis.plan.spec.name
    with telling(Console(stderr=True)) as tell:
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


@app.command()
def export(
    spec: SpecArgument,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write cells, regions, claims, heatmaps and provenance as files."""
    from study.report.export import export as write

    analysis = stored_analysis(spec, home)
    with writing(folder):
        written = [str(path) for path in write(analysis, folder)]
    if as_json:
        emit(written)
    else:
        say(written)
    end(complete=analysis.complete)


@app.command()
def sync(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="[SPEC]", help="Name of a shipped spec, or a YAML file; default: every study of the home."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    tracking_uri: TrackerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring MLflow up to the ledger: write what it lacks, mend what was left unfinished; trains nothing."""
    from study.report.plain.counts import shown_values
    from study.report.terminal.closing import shown_line
    from study.run.sync import sync as run
    from study.run.sync import sync_all

    console = progress_console(as_json=as_json)
    if spec:
        found = [run(read_spec(spec), Home(home), console, tracking_uri)]
    else:
        found = sync_all(Home(home), console, tracking_uri)
    if as_json:
        emit([shown_values(one) for one in found])
    else:
        say(map(shown_line, found))
    end(complete=all(one.complete for one in found))


@app.command()
def compare(
    spec: SpecArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A transform of the study, as its tables call it.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one; or the same, with --with.")],
    other: Annotated[
        str | None,
        typer.Option("--with", metavar="SPEC", help="The study that B is taken from; default: the same."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the difference map; default: in the study's exports."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Print the paired differences of every measure between two transforms, and draw the difference map."""
    from study.comparison import compare as compared
    from study.report.difference_map import save_difference
    from study.report.plain.comparisons import comparison_values
    from study.report.terminal.comparison import comparison_table

    first = stored_analysis(spec, home)
    second = first if other is None else stored_analysis(other, home)
    found = compared(first, a, second, b)
    place = folder or Home(home).exports(first.plan.spec.name) / "comparisons"
    pictures: list[Path] = []
    with writing(place):
        for one in found:
            # Without a common seed there is nothing to draw, and no empty picture.
            if one.seeds:
                pictures += save_difference(one, place)
    confidence = first.plan.spec.region.confidence
    if as_json:
        emit(
            {
                "comparisons": [comparison_values(one, confidence) for one in found],
                "pictures": list(map(str, pictures)),
            }
        )
    else:
        for one in found:
            out.print(comparison_table(one, confidence))
        say(f"difference map: {path}" for path in pictures if path.suffix == ".png")
    end(complete=first.complete and second.complete)


@app.command()
def table(spec: SpecArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Print the published numbers of the spec's networks and methods beside this study's."""
    from study.papers.agreement import tables_of
    from study.papers.tables import TABLES
    from study.report.plain.published import published_values
    from study.report.terminal.published import published_table

    analysis = stored_analysis(spec, home)
    name = analysis.plan.spec.name
    found = tables_of(analysis)
    if as_json:
        emit({"study": name, "tables": [published_values(analysis, one) for one in found]})
    elif found:
        for one in found:
            out.print(published_table(analysis, one), highlight=False)
    else:
        known = "; ".join(f"{one.title} ({one.source})" for one in TABLES)
        say([f"no published table is about the data of {name}; known: {known}"])
    end(complete=analysis.complete)


@app.command()
def figures(
    spec: SpecArgument,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; default: in the study's exports.")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            help="Of the cells that are drawn; default: a published setting, or each transform's best.",
        ),
    ] = None,
    weight_decay: Annotated[float | None, typer.Option("--weight-decay", help="Likewise.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw what cells recorded in training: gradient deviations, scale factors, scores; seeds as bands."""
    from study.report.training_figures import draw_figures

    analysis = stored_analysis(spec, home)
    place = folder or Home(home).exports(analysis.plan.spec.name) / "figures"
    with writing(place):
        written, missing = draw_figures(analysis, place, lr, weight_decay)
    if as_json:
        emit({"figures": list(map(str, written)), "missing": missing})
    else:
        lines = [str(path) for path in written if path.suffix == ".png"]
        lines += [f"{name}: not drawn: it {why}" for name, why in missing.items()]
        say(lines)
    end(complete=analysis.complete)


@app.command()
def ui(
    home: HomeOption = DEFAULT_HOME,
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
) -> None:
    """Serve the MLflow UI of a home until Ctrl-C."""
    place = Home(home)
    if not place.mlflow_database.exists():
        raise UserError(
            f"home {home}: there is no MLflow database yet; launch a study first, or name another with --home"
        )
    say([f"MLflow UI of {home}: http://{host}:{port}  (Ctrl-C ends it)"])
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", place.mlflow_uri),
        *("--default-artifact-root", place.mlflow_artifacts.resolve().as_uri()),
        *("--host", host),
        *("--port", str(port)),
    ]
    # The server takes this process over, so that signals reach it. What is not flushed before would be lost.
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"})  # noqa: S606


if __name__ == "__main__":
    main()
