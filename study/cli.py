"""The command line. Exit codes: 0 done, 2 the input is wrong, 3 the study is incomplete, 1 anything else."""

from __future__ import annotations

import json
import logging
import os
import sys
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
    pass

WRONG_INPUT, INCOMPLETE = 2, 3

app = typer.Typer(
    help="Hyperparameter-robustness studies of gradient transforms.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
out = Console(width=None if sys.stdout.isatty() else 120)

Spec = Annotated[str, typer.Argument(metavar="SPEC", help="Name of a shipped spec, or a YAML file.")]
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    lines = [
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        for line in str(error).split("\n")
    ]
    Console(stderr=True).print(
        f"[bold red]error[/] {escape(chr(10).join(lines))}", highlight=False, soft_wrap=True
    )


def emit(value: Any) -> None:
    """Print JSON on standard output."""
    print(json.dumps(value, indent=1, allow_nan=False))


@app.command()
def specs(as_json: Json = False) -> None:
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
        out.print(
            f"[bold]{name}[/]  {spec.size:,} cells  {spec.description}", highlight=False, soft_wrap=True
        )


@app.command()
def plan(spec: Spec, home: HomeOption = DEFAULT_HOME, as_json: Json = False) -> None:
    """Say what a launch would train, and about how long; trains and writes nothing."""
    from study.plan.preview import preview
    from study.report.preview import preview_lines

    seen = preview(read_spec(spec), Home(home))
    if as_json:
        from study.report.plain import preview_values

        emit(preview_values(seen))
    else:
        out.print("\n".join(preview_lines(seen)), highlight=False, soft_wrap=True)


@app.command()
def launch(
    spec: Spec,
    home: HomeOption = DEFAULT_HOME,
    here: Annotated[bool, typer.Option("--here", help="Train in this process, without Ray.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", envvar="RAY_ADDRESS", help="An existing Ray cluster.")
    ] = None,
    tracking_uri: TrackerOption = None,
    as_json: Json = False,
) -> None:
    """Train what is missing, then analyse; the same command goes on after any interruption."""
    from study.report.terminal import claims_table, closing_lines
    from study.run.launch import launch as run

    console = Console(stderr=True) if as_json else out
    ended = run(read_spec(spec), Home(home), console, here=here, address=address, tracking_uri=tracking_uri)
    if as_json:
        from study.report import plain

        emit(
            plain.launch_values(ended)
            | {"claims": [] if ended.interrupted else plain.claims(ended.analysis.claims)}
        )
    else:
        if not ended.interrupted:
            out.print(claims_table(ended.analysis))
        out.print("\n".join(closing_lines(ended, spec, home)), highlight=False, soft_wrap=True)
    raise typer.Exit(0 if ended.analysis.complete and not ended.interrupted else INCOMPLETE)


@app.command()
def status(spec: Spec, home: HomeOption = DEFAULT_HOME, as_json: Json = False) -> None:
    """Count the cells that are finished, diverged, failed and pending."""
    from study.stored import spec_of
    from study.stored import status as stored

    found = stored(spec_of(spec, Home(home)), Home(home))
    if as_json:
        from study.report.plain import status_values

        emit(status_values(found))
    else:
        out.print(
            f"{found.study}: " + ", ".join(f"{count} {name}" for name, count in found.counts.items()),
            highlight=False,
        )
        for key, reason in list(found.reasons.items())[:3]:
            out.print(f"  {key}: {escape(reason)}", highlight=False)
    raise typer.Exit(0 if found.complete else INCOMPLETE)


@app.command()
def analyse(
    spec: Spec,
    home: HomeOption = DEFAULT_HOME,
    measures: Annotated[
        bool, typer.Option("--measures", help="Print every measure and importance of every transform.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Say how to open the Optuna storage; starts nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print regions, importances and the claims ledger of what is stored."""
    from study.report import plain
    from study.report.terminal import (
        claims_table,
        dashboard_lines,
        importances_table,
        measures_table,
        regions_table,
    )
    from study.stored import read, spec_of

    analysis = read(spec_of(spec, Home(home)), Home(home))
    if as_json:
        emit(
            {
                "cells": analysis.counts,
                "regions": list(plain.regions(analysis)),
                "claims": plain.claims(analysis.claims),
            }
            | ({"dashboard": dashboard_lines(analysis, Home(home))} if dashboard else {})
        )
    elif dashboard:
        out.print(
            "\n".join(dashboard_lines(analysis, Home(home))), highlight=False, soft_wrap=True, markup=False
        )
    else:
        if not analysis.stored:
            out.print(
                f"nothing is stored of {analysis.plan.spec.name}; start with: study launch {spec}",
                highlight=False,
                soft_wrap=True,
            )
        else:
            out.print(regions_table(analysis))
            out.print(claims_table(analysis))
            if measures:
                out.print(measures_table(analysis), highlight=False)
                out.print(importances_table(analysis), highlight=False)
            out.print(
                "\n".join(dashboard_lines(analysis, Home(home))),
                highlight=False,
                soft_wrap=True,
                markup=False,
            )
    raise typer.Exit(0 if analysis.complete else INCOMPLETE)


@app.command()
def export(
    spec: Spec,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Write cells, regions, claims, heatmaps and provenance as files."""
    from study.report.export import export as write
    from study.stored import read, spec_of

    analysis = read(spec_of(spec, Home(home)), Home(home))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; give a folder")
    try:
        written = write(analysis, folder)
    except OSError as error:
        raise UserError(
            f"--out {folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    if as_json:
        emit([str(path) for path in written])
    else:
        out.print("\n".join(map(str, written)), highlight=False, soft_wrap=True)
    raise typer.Exit(0 if analysis.complete else INCOMPLETE)


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
    as_json: Json = False,
) -> None:
    """Bring MLflow up to the ledger: write what it lacks, mend what was left unfinished; trains nothing."""
    from study.report.terminal import shown_line
    from study.run.sync import sync as run
    from study.run.sync import sync_all

    console = Console(stderr=True) if as_json else out
    found = (
        [run(read_spec(spec), Home(home), console, tracking_uri)]
        if spec
        else sync_all(Home(home), console, tracking_uri)
    )
    if as_json:
        from study.report.plain import shown_values

        emit([shown_values(one) for one in found])
    else:
        out.print("\n".join(map(shown_line, found)), highlight=False, soft_wrap=True)
    raise typer.Exit(0 if all(one.complete for one in found) else INCOMPLETE)


@app.command()
def compare(
    spec: Spec,
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
    as_json: Json = False,
) -> None:
    """Print the paired differences of every measure between two transforms, and draw the difference map."""
    from study.comparison import compare as compared
    from study.report.difference_map import save_difference
    from study.report.plain import comparison_values
    from study.report.terminal import comparison_table
    from study.stored import read, spec_of

    first = read(spec_of(spec, Home(home)), Home(home))
    second = first if other is None else read(spec_of(other, Home(home)), Home(home))
    found = compared(first, a, second, b)
    place = folder or Home(home).exports(first.plan.spec.name) / "comparisons"
    try:
        pictures = [path for one in found if one.seeds for path in save_difference(one, place)]
    except OSError as error:
        raise UserError(
            f"--out {place}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    if as_json:
        emit(
            {
                "comparisons": [comparison_values(one, first.plan.spec.region.confidence) for one in found],
                "pictures": [str(path) for path in pictures],
            }
        )
    else:
        for one in found:
            out.print(comparison_table(one, first.plan.spec.region.confidence))
        out.print(
            "\n".join(f"difference map: {path}" for path in pictures if path.suffix == ".png"),
            highlight=False,
            soft_wrap=True,
        )
    raise typer.Exit(0 if first.complete and second.complete else INCOMPLETE)


@app.command()
def table(spec: Spec, home: HomeOption = DEFAULT_HOME, as_json: Json = False) -> None:
    """Print the published numbers of the spec's networks and methods beside this study's."""
    from study.papers.agreement import tables_of
    from study.papers.tables import TABLES
    from study.report.plain import published_values
    from study.report.terminal import published_table
    from study.stored import read, spec_of

    analysis = read(spec_of(spec, Home(home)), Home(home))
    found = tables_of(analysis)
    if as_json:
        emit({"study": analysis.plan.spec.name, "tables": [published_values(analysis, one) for one in found]})
    else:
        for one in found:
            out.print(published_table(analysis, one), highlight=False)
        if not found:
            known = "; ".join(f"{one.title} ({one.source})" for one in TABLES)
            out.print(
                f"no published table is about the data of {analysis.plan.spec.name}; known: {escape(known)}",
                highlight=False,
                soft_wrap=True,
            )
    raise typer.Exit(0 if analysis.complete else INCOMPLETE)


@app.command()
def figures(
    spec: Spec,
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
    as_json: Json = False,
) -> None:
    """Draw what cells recorded while they trained: deviations of gradients, scale factors, scores; seeds as bands."""
    from study.report.training_figures import draw_figures
    from study.stored import read, spec_of

    analysis = read(spec_of(spec, Home(home)), Home(home))
    place = folder or Home(home).exports(analysis.plan.spec.name) / "figures"
    try:
        written, missing = draw_figures(analysis, place, lr, weight_decay)
    except OSError as error:
        raise UserError(
            f"--out {place}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    if as_json:
        emit({"figures": [str(path) for path in written], "missing": missing})
    else:
        lines = [
            *(str(path) for path in written if path.suffix == ".png"),
            *(f"{name}: not drawn: it {why}" for name, why in missing.items()),
        ]
        out.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(0 if analysis.complete else INCOMPLETE)


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
    out.print(f"MLflow UI of {home}: http://{host}:{port}  (Ctrl-C ends it)", highlight=False, soft_wrap=True)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        place.mlflow_uri,
        "--default-artifact-root",
        place.mlflow_artifacts.resolve().as_uri(),
        "--host",
        host,
        "--port",
        str(port),
    ]
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"})  # noqa: S606  # the server takes this process over: signals reach it


if __name__ == "__main__":
    main()
