"""A launch: the cells that the spec asks for, less those that are stored, trained; then everything shown."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

from rich.console import Console

from study.analysis import Analysis
from study.errors import UserError
from study.home import Home
from study.launch_result import Launch
from study.plan.cells import Plan, make_plan, settings
from study.plan.changes import not_asked, refuse_other_meaning
from study.report.terminal.counts import not_asked_line
from study.report.terminal.words import tell
from study.run.data import fingerprints_of_data
from study.run.driver import Training, reached, stopped_like_ctrl_c
from study.run.looking import Looking
from study.run.progress import Display
from study.run.sync import conclude, mirrored, runs_of
from study.run.tile_log import Captured, apart, captured, last_lines
from study.run.tracker import address_of
from study.spec.model import StudySpec
from study.stored import analysed, set_aside_lines, status
from tracking import EVIDENCE, LedgerError, identity

log = logging.getLogger(__name__)


def launch(
    spec: StudySpec,
    home: Home,
    console: Console,
    *,
    here: bool = False,
    address: str | None = None,
    tracking_uri: str | None = None,
    until_decided: bool = False,
    judged: Callable[[Analysis], None] = lambda analysis: None,
) -> Launch:
    """Train what is missing, store it, show it in MLflow, analyse it and write the exports.

    Args:
        judged: told what is concluded, before the files are drawn, which takes several seconds; not where
            the launch was interrupted.
        here: train in this process instead of on Ray's workers.
        address: an existing Ray cluster.
        tracking_uri: an MLflow server, or the home's own database.
        until_decided: add seeds look by look, until every claim is decided, futile or at the cap.

    Raises:
        UserError: the spec cannot be run, stored cells of the study have another meaning, another process
            launches it, or the home cannot be used, and nothing was changed. Or no machine can hold a worker,
            and no cell was trained.
        PoolError: Ray cannot be reached, or it stopped; what finished is stored.
        LedgerError: the home can no longer be written (a full disk, say); what was stored is whole.
    """
    if until_decided and not spec.verdicts.looks:
        raise UserError(
            f"{spec.name}: --until-decided needs the looks at which verdicts are given; add to the spec, "
            "say, verdicts: {looks: [3, 5, 8, 12]}"
        )
    # What the study's own code prints goes to logs, and progress does not.
    with apart(console), ExitStack() as stack:
        # A home that leads out of itself and an address that is wrong are said before data is loaded, which
        # may take minutes, and workers start meanwhile. A study that lacks nothing needs no cluster.
        stack.enter_context(home.writing(spec.name))
        home.refuse_busy(spec.name)
        if not here and not complete(spec, home):
            stack.enter_context(reached(address, console))
        return _launch(
            spec,
            home,
            console,
            here=here,
            address=address,
            tracking_uri=tracking_uri,
            until_decided=until_decided,
            judged=judged,
        )


def _launch(
    spec: StudySpec,
    home: Home,
    console: Console,
    *,
    here: bool,
    address: str | None,
    tracking_uri: str | None,
    until_decided: bool,
    judged: Callable[[Analysis], None],
) -> Launch:
    started, uri = time.monotonic(), address_of(tracking_uri, home)
    tell(console, f"loading {', '.join({setting.title: None for setting in settings(spec)})}")
    prints, printed = loaded(spec)
    plan = make_plan(spec, prints)
    home.prepare()
    log.info("%d cells planned, home %s, tracker %s", len(plan.cells), home.root, identity(uri))
    with home.lock(spec.name), closing(home.open_ledger()) as ledger:
        printed.save(home.logs(spec.name) / "loading.log")
        before = ledger.meanings(spec.name)
        refuse_other_meaning(plan, before)
        more = not_asked(plan, ledger.outcomes({**plan.settings, **before}))
        ledger.note_fingerprints(spec.name, prints)
        ledger.note_study(spec.name, spec.remembered(), plan.meanings)
        stored = plan.own(ledger.outcomes(plan.settings))
        if damaged := ledger.set_aside_damaged(stored):
            tell(console, "\n".join(set_aside_lines(damaged)))
        # Looked at again: where the file was damaged, the first answer came from a damaged index.
        stored = plan.own(ledger.outcomes(plan.settings))
        shown = [key for key, outcome in stored.items() if outcome in EVIDENCE]
        tell(console, begun(plan, len(shown), more))
        looking = Looking(plan, ledger, uri, console)
        looking.preregister()
        interrupted = False
        with (
            mirrored(plan, shown, ledger, home, uri, console) as mirror,
            Display(console, stored, mirror) as display,
        ):
            training = Training(
                plan,
                home,
                ledger,
                mirror,
                display,
                console=console,
                here=here,
                address=address,
                wanted=looking.wanted,
                until_decided=until_decided,
            )
            try:
                training.run()
                with stopped_like_ctrl_c():
                    mirror.finish(display.writing)
            except KeyboardInterrupt:
                interrupted = True
                display.stop("stopping; runs that MLflow lacks are written by the next launch")
        analysis = analysed(plan, ledger, uri) if interrupted else looking.concluded()
        if analysis.complete:
            shutil.rmtree(training.checkpoints.folder, ignore_errors=True)
        # Whoever stops a launch wants the terminal back. The next one draws everything.
        trouble = mirror.trouble
        if not interrupted:
            try:
                judged(analysis)
            finally:
                # A reader that has left (`| head`) costs no file.
                trouble = conclude(analysis, home, uri, console, known_trouble=trouble, again=False)
        return Launch(
            analysis,
            trained=display.trained,
            failures=tuple(failure.words for failure in training.failures),
            interrupted=interrupted,
            exports=home.exports(spec.name),
            seconds=time.monotonic() - started,
            mlflow_runs=runs_of(plan, ledger, uri),
            trouble=trouble,
            own_tracker=uri == home.mlflow_uri,
        )


def complete(spec: StudySpec, home: Home) -> bool:
    """Whether every cell is stored, if data and code are those of the last launch."""
    try:
        return status(spec, home).complete
    except (LedgerError, UserError):
        return False  # the launch itself says what is wrong


def loaded(spec: StudySpec) -> tuple[dict[str, str], Captured]:
    """Load data and networks, and try the user's own code: the fingerprints, and what was printed meanwhile.

    Raises:
        UserError: something cannot be made or trained; the end of what was printed follows the reason.
    """
    try:
        # Ray, where it runs already, answers SIGTERM by ending Python, which would look like the user's code.
        with stopped_like_ctrl_c(), captured() as printed:
            prints = fingerprints_of_data(spec)
    except UserError as error:
        words = (str(error), last_lines(printed.end))
        raise UserError("\n".join(part for part in words if part)) from None
    return prints, printed


def begun(plan: Plan, stored: int, more: int) -> str:
    """What a launch begins with.

    Args:
        more: stored cells that the spec does not ask for.
    """
    cells = len(plan.cells)
    left = f"{cells - stored:,} to train" if stored < cells else "nothing to train"
    said = f"{plan.spec.name}: {cells:,} cells, {stored:,} stored, {left}"
    if plan.spec.design == "edges":
        said = (
            f"{plan.spec.name}: {cells:,} cells, {stored:,} stored; the design chooses what else is trained"
        )
    if looks := plan.spec.verdicts.looks:
        places = " and ".join(", ".join(map(str, looks)).rsplit(", ", 1))
        said = (
            f"{plan.spec.name}: {cells:,} cells at most, {stored:,} stored; "
            f"looks at its claims after {places} seeds"
        )
    return f"{said}\n{not_asked_line(more)}" if more else said
