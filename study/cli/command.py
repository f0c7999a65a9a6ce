"""The command: its verbs, the options that stand before them, and the exit code of whatever goes wrong."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Annotated

import typer

from study.cli.cluster import logs, stop
from study.cli.files import compare, export, figures
from study.cli.home import check, sync, ui
from study.cli.launch import launch
from study.cli.output import INTERRUPTED, WRONG_INPUT, answering, complain, left_by_reader
from study.cli.start import new, plan, specs
from study.cli.stored import analyse, status, table, twins
from study.cli.verdicts import verdicts
from study.cli.watch import watch
from study.cli.zoom import zoom
from study.errors import PoolError, UserError
from study.run.containment import EndedPythonError, contained
from study.run.tile_log import lasting
from tracking import LedgerError, redacted

app = typer.Typer(
    help="Hyperparameter-robustness studies of gradient transforms.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a command and leave with its exit code.

    What went wrong is one message per error on standard error, without a traceback where the user can mend
    it. With `--json` it is a JSON object on standard output as well.
    """
    if "--json" not in sys.argv[1:]:
        sys.exit(run()[0])
    with answering() as answer:
        code, kind, message = run()
        if code != 0:
            answer.give_error(kind, message, code)
    sys.exit(code)


def run() -> tuple[int, str, str]:
    """Run the command that `sys.argv` names: its exit code, and which error ended it with which words."""
    # Not typer's own ending of the process: it would hide whether a spec's code ended it.
    try:
        with contained(whole=True), left_by_reader():
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


# In the order in which `study --help` lists them.
for verb in (
    *(specs, new, plan, launch, stop, logs, status, watch, analyse, verdicts, twins),
    *(export, sync, check, compare, table, figures, zoom, ui),
):
    app.command()(verb)
