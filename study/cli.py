"""The command line. Exit codes: 0 done, 2 the input is wrong, 3 the study is incomplete, 1 anything else."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from study.errors import PoolError, UserError
from study.home import DEFAULT_HOME, Home
from study.report.plain.answer import Answer, kept_for_json
from study.run.containment import EndedPythonError, contained
from study.run.tile_log import lasting
from study.spec.read import read_spec, shipped
from tracking import LedgerError, redacted

if TYPE_CHECKING:
    from study.analysis import Analysis

# Everything else is imported inside the functions: with numpy or torch at the top, `study --help` would take
# seconds.

WRONG_INPUT, INCOMPLETE, INTERRUPTED = 2, 3, 130

app = typer.Typer(
    help="Hyperparameter-robustness studies of gradient transforms.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


class Output(Console):
    """Standard output, whose reader may leave before the end, as `| head` does."""

    def on_broken_pipe(self) -> None:
        """End the command in silence."""
        try:
            super().on_broken_pipe()
        # rich ends Python here, which is nothing that a study's own code did.
        except SystemExit:
            raise BrokenPipeError from None


# In a pipe rich would take 80 columns, where the tables wrap.
out = Output(width=None if sys.stdout.isatty() else 120)

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
        show_envvar=True,
        help="An MLflow server, or @FILE that holds its address; default: the home's own database.",
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="PACKAGE",
        envvar="STABILITY_STUDY_ALLOW",
        help="A package whose factories and claims the spec may name; repeatable.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


_answer: Answer | None = None
"""Where the JSON of this command goes; None without `--json`."""


def main() -> None:
    """Run a command and leave with its exit code.

    What went wrong is one message per error on standard error, without a traceback where the user can mend
    it. With `--json` it is a JSON object on standard output as well.
    """
    global _answer
    if "--json" not in sys.argv[1:]:
        sys.exit(run()[0])
    with kept_for_json() as _answer:
        code, kind, message = run()
        if code != 0:
            _answer.give_error(kind, message, code)
    _answer = None
    sys.exit(code)


def run() -> tuple[int, str, str]:
    """Run the command that `sys.argv` names: its exit code, and which error ended it with which words."""
    # Not typer's own ending of the process: it would hide whether a spec's code ended it.
    try:
        with contained(whole=True):
            code = app(standalone_mode=False) or 0
            return code, "Interrupted" if code == INTERRUPTED else "Incomplete", "the command did not finish"
    except BrokenPipeError:
        return 1, "BrokenPipeError", "the reader of the output left"
    except (LedgerError, PoolError) as error:
        complain(error)
        return 1, type(error).__name__, str(error)
    except (UserError, EndedPythonError) as error:
        complain(error)
        return WRONG_INPUT, type(error).__name__, str(error)
    except Exception as error:
        # Typer brings a click of its own, so that its errors have no type to catch.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            from typer.rich_utils import rich_format_error

            rich_format_error(error)  # type: ignore[arg-type]
            return int(error.exit_code), "UsageError", str(error.format_message())
        print(redacted(traceback.format_exc()), file=sys.stderr, end="")
        return 1, type(error).__name__, str(error)


def complain(error: Exception) -> None:
    """Print an error; what a terminal cannot show, or would obey, is shown as its code."""
    lines = []
    for line in redacted(str(error)).split("\n"):
        lines.append("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))
    text = escape("\n".join(lines))
    Console(stderr=True).print(f"[bold red]error[/] {text}", highlight=False, soft_wrap=True)


def say(lines: Iterable[str], where: Console = out) -> None:
    """Print lines unwrapped, and without reading markup: a path or a reason may hold brackets of its own."""
    where.print(redacted("\n".join(lines)), highlight=False, soft_wrap=True, markup=False)


def emit(value: Any) -> None:
    """Print JSON on standard output."""
    if _answer is not None:
        _answer.give(value)


def stored_analysis(spec: str, home: Path, allow: list[str] | None) -> Analysis:
    """What a home has of the study of that name or file, with all that follows from it."""
    from study.stored import damaged_lines, read, spec_of

    found = read(spec_of(spec, Home(home), allow), Home(home))
    if lines := damaged_lines(found.damaged):
        lines.append("they are left out here; a launch trains these cells again")
        Console(stderr=True).print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)
    return found


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Write to a folder of the user's choice.

    Raises:
        UserError: it is a file, or cannot be written.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--out {folder} is a file; give a folder")
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


class Redacting(logging.Formatter):
    """Lines of a log without passwords: libraries repeat the address of a tracker."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


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
        handler = logging.StreamHandler(lasting(sys.stderr))
        handler.setFormatter(Redacting("%(asctime)s %(name)s: %(message)s"))
        for room in ("study", "tracking", "trainers"):  # not the root: MLflow's migrations alone log a page
            logging.getLogger(room).addHandler(handler)
            logging.getLogger(room).setLevel(logging.INFO)


@app.command()
def specs(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print the text of this one; default: list all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the specs that ship with the package, or print one of them."""
    from study.report.terminal.pasted import suggested
    from study.spec.read import parse_spec, shipped_text

    if name is not None:
        text = shipped_text(name)
        if as_json:
            emit({"name": name, "text": text})
        else:
            print(text, end="")
        return
    found = [parse_spec(text, name) for name, text in shipped().items()]
    if as_json:
        emit([{"name": spec.name, "description": spec.description, "cells": spec.size} for spec in found])
        return
    for spec in found:
        line = f"[bold]{spec.name}[/]  {spec.size:,} cells  {escape(spec.description)}"
        out.print(line, highlight=False, soft_wrap=True)
    say([f"to see one: {suggested('specs', 'NAME')}", f"to write your own: {suggested('new', 'FILE.yaml')}"])


@app.command()
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


@app.command()
def plan(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    here: Annotated[bool, typer.Option("--here", help="For a launch with --here.")] = False,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a launch would train, and about how long; trains and writes nothing."""
    from study.plan.preview import preview
    from study.report.plain.counts import preview_values
    from study.report.terminal.counts import preview_lines

    seen = preview(read_spec(spec, allow=allow, runs=True), Home(home), here=here)
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
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train what is missing, then analyse; the same command goes on after any interruption."""
    console = progress_console(as_json=as_json)
    # Before the libraries are loaded, which takes seconds.
    say([f"reading {spec}"], console)
    from study.report.plain.best import best_values
    from study.report.plain.claims import claims
    from study.report.plain.counts import launch_values
    from study.report.terminal.best import best_table
    from study.report.terminal.claims import claims_table
    from study.report.terminal.closing import closing_lines
    from study.report.terminal.pasted import same_again
    from study.run.launch import launch as run

    try:
        ended = run(
            read_spec(spec, allow=allow, runs=True),
            Home(home),
            console,
            here=here,
            address=address,
            tracking_uri=tracking_uri,
        )
    except KeyboardInterrupt:
        # While data are loaded or results are drawn; in training it is no error.
        say([f"stopped; what finished is kept. Go on with: {same_again()}"], console)
        raise
    # Whoever interrupts a launch waits for it to end, and judging claims takes seconds.
    if as_json:
        judged, best = (
            ([], []) if ended.interrupted else (claims(ended.analysis), best_values(ended.analysis))
        )
        emit(launch_values(ended) | {"claims": judged, "best": best})
    else:
        if not ended.interrupted:
            out.print(best_table(ended.analysis), highlight=False)
            out.print(claims_table(ended.analysis))
        say(closing_lines(ended, spec, home, tracking_uri, allow or ()))
    end(complete=ended.complete)


@app.command()
def status(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the cells that are finished, diverged, failed and pending."""
    from study import stored
    from study.report.plain.counts import status_values
    from study.report.terminal.counts import status_lines

    found = stored.status(stored.spec_of(spec, Home(home), allow), Home(home))
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
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the best of each transform, regions, importances and the claims ledger of what is stored."""
    from study.report.plain.best import best_values
    from study.report.plain.claims import claims, specification_values
    from study.report.plain.regions import regions
    from study.report.terminal.best import best_table
    from study.report.terminal.claims import claims_table
    from study.report.terminal.closing import dashboard_lines
    from study.report.terminal.importances import importances_table
    from study.report.terminal.measures import measures_table
    from study.report.terminal.pasted import suggested
    from study.report.terminal.regions import regions_table
    from study.report.terminal.specification import specification_table

    analysis = stored_analysis(spec, home, allow)
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
        emit(found | {"best": best_values(analysis)})
    elif dashboard:
        say(dashboard_lines(analysis, Home(home)))
    elif not analysis.stored:
        start = suggested("launch", spec, home=home, allow=allow or ())
        say([f"nothing is stored of {analysis.plan.spec.name}; start with: {start}"])
    else:
        out.print(best_table(analysis), highlight=False)
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
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often this study's verdicts err, on its own cells: one transform under several names."""
    from study.claims.twins import measure_twins
    from study.report.plain.twins import twins_values
    from study.report.terminal.twins import telling, twins_table

    analysis = stored_analysis(spec, home, allow)
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
    force: Annotated[bool, typer.Option("--force", help="Replace the export of another study.")] = False,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write cells, regions, claims, heatmaps and provenance as files."""
    from study.report.export import export as write
    from study.report.export import refuse_other_study

    analysis = stored_analysis(spec, home, allow)
    with writing(folder):
        if not force:
            refuse_other_study(folder, analysis.plan.spec.name)
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


@app.command()
def check(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Say what of a home is whole: ledger, MLflow, artifacts, exports; changes and runs nothing."""
    from study.check import check as look
    from study.report.plain.check import check_values
    from study.report.terminal.check import check_lines

    found = look(Home(home))
    if as_json:
        emit(check_values(found))
    else:
        say(check_lines(found))
    if not found.readable:
        raise typer.Exit(1)
    end(complete=found.whole)


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
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the paired differences of every measure between two transforms, and draw the difference map."""
    from study.comparison import compare as compared
    from study.report.difference_map import save_difference
    from study.report.plain.comparisons import comparison_values
    from study.report.terminal.comparison import comparison_table

    first = stored_analysis(spec, home, allow)
    second = first if other is None else stored_analysis(other, home, allow)
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
def table(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the published numbers of the spec's networks and methods beside this study's."""
    from study.papers.agreement import tables_of
    from study.papers.tables import TABLES
    from study.report.plain.published import published_values
    from study.report.terminal.published import published_table

    analysis = stored_analysis(spec, home, allow)
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
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what cells recorded in training: gradient deviations, scale factors, scores; seeds as bands."""
    from study.report.training_figures import draw_figures

    analysis = stored_analysis(spec, home, allow)
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
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A name or address by which browsers may reach it; repeatable."),
    ] = None,
) -> None:
    """Serve the MLflow UI of a home until Ctrl-C."""
    from study.run.mlflow_ui import answered, serve

    place = Home(home)
    hosts = answered(host, name or [])
    if not place.mlflow_database.exists():
        raise UserError(
            f"home {home}: there is no MLflow database yet; launch a study first, or name another with --home"
        )
    from study.run.sync import open_database

    open_database(place, lambda told: say([told, "to write its runs: study sync"]))
    say([f"MLflow UI of {home}: http://{host}:{port}  (Ctrl-C ends it)"])
    # The server takes this process over. What is not flushed before would be lost.
    sys.stdout.flush()
    serve(place, host, port, hosts)


if __name__ == "__main__":
    main()
