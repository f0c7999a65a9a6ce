"""A launch: the cells that the spec asks for, less those that are stored, trained; then everything shown."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from study.analysis import Analysis
from study.errors import UserError
from study.home import Home
from study.launch_result import Launch
from study.plan.cells import Plan, make_plan, settings
from study.plan.changes import not_asked, refuse_other_meaning
from study.plan.preview import bytes_of, free_bytes
from study.report.terminal.counts import disk_lines, not_asked_line
from study.report.terminal.words import tell
from study.run.data import fingerprints_of_data
from study.run.driver import Training, reached, stopped_like_ctrl_c
from study.run.launch_options import DEFAULT_OPTIONS, LaunchOptions
from study.run.looks import Looks
from study.run.progress import Display
from study.run.rounds import Rounds
from study.run.sync import conclude, mirrored, runs_of
from study.run.tile_log import Captured, apart, captured, last_lines
from study.run.tracker import address_of
from study.spec.model import StudySpec
from study.stored import analysed, set_aside_lines, status
from tracking import EVIDENCE, Ledger, LedgerError, identity

log = logging.getLogger(__name__)
Judged = Callable[[Analysis], None]


def launch(
    spec: StudySpec,
    home: Home,
    console: Console,
    options: LaunchOptions = DEFAULT_OPTIONS,
    *,
    judged: Judged = lambda analysis: None,
) -> Launch:
    """Train what is missing, store it, show it in MLflow, analyse it and write the exports.

    Args:
        judged: told what is concluded, before the files are drawn, which takes several seconds; not where
            the launch was interrupted.

    Raises:
        UserError: the spec cannot be run, stored cells of the study have another meaning, another process
            launches it, or the home cannot be used, and nothing was changed. Or no machine can hold a worker,
            and no cell was trained.
        PoolError: Ray cannot be reached, or it stopped; what finished is stored.
        LedgerError: the home can no longer be written (a full disk, say); what was stored is whole.
    """
    if options.until_decided and not spec.verdicts.looks:
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
        if not options.here and not complete(spec, home):
            stack.enter_context(reached(options.address, console))
        started, uri = time.monotonic(), address_of(options.tracking_uri, home)
        tell(console, f"loading {', '.join({setting.title: None for setting in settings(spec)})}")
        prints, printed = loaded(spec)
        plan = make_plan(spec, prints)
        home.prepare()
        log.info("%d cells planned, home %s, tracker %s", len(plan.cells), home.root, identity(uri))
        stack.enter_context(home.lock(spec.name))
        ledger = stack.enter_context(closing(home.open_ledger()))
        printed.save(home.logs(spec.name) / "loading.log")
        opened = Opened(plan, home, ledger, uri, console)
        stored = planned(opened)
        looks = Looks(plan, ledger, uri, console)
        looks.preregister()
        outcome = trained(opened, stored, looks, options)
        analysis, trouble = concluded(opened, looks, outcome, judged)
        return Launch(
            analysis,
            trained=outcome.cells,
            failures=outcome.failures,
            interrupted=outcome.interrupted,
            exports=home.exports(spec.name),
            seconds=time.monotonic() - started,
            mlflow_runs=runs_of(plan, ledger, uri),
            trouble=trouble,
            own_tracker=uri == home.mlflow_uri,
        )


@dataclass(frozen=True)
class Opened:
    """A study whose ledger is open, locked for this launch.

    Attributes:
        uri: of its tracker.
    """

    plan: Plan
    home: Home
    ledger: Ledger
    uri: str
    console: Console


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes:
        cells: how many were trained.
        failures: why tiles could not be trained, one reason each.
        interrupted: Ctrl-C or SIGTERM ended it.
        trouble: what was wrong with the tracker; None where nothing was.
        checkpoints: the folder of those of tiles that did not end.
    """

    cells: int
    failures: tuple[str, ...]
    interrupted: bool
    trouble: str | None
    checkpoints: Path


def planned(opened: Opened) -> dict[str, str]:
    """Enter the study into the ledger: the outcomes of its cells that are stored, by their key.

    Raises:
        UserError: stored cells of the study have another meaning; nothing was changed.
    """
    plan, ledger, console = opened.plan, opened.ledger, opened.console
    before = ledger.meanings(plan.spec.name)
    refuse_other_meaning(plan, before)
    more = not_asked(plan, ledger.outcomes({**plan.settings, **before}))
    ledger.note_fingerprints(plan.spec.name, plan.fingerprints)
    ledger.note_study(plan.spec.name, plan.spec.remembered(), plan.meanings)
    stored = plan.own(ledger.outcomes(plan.settings))
    if damaged := ledger.set_aside_damaged(stored):
        tell(console, "\n".join(set_aside_lines(damaged)))
    # Looked at again: where the file was damaged, the first answer came from a damaged index.
    stored = plan.own(ledger.outcomes(plan.settings))
    shown = len(evidence(stored))
    tell(console, begun(plan, shown, more))
    needed = bytes_of(plan.spec, len(plan.cells) - shown)
    for line in disk_lines(plan.spec, needed, free_bytes(opened.home.root)):
        tell(console, line)
    return stored


def trained(opened: Opened, stored: dict[str, str], looks: Looks, options: LaunchOptions) -> Trained:
    """Train what is missing, look by look, while the tracker is shown what is stored."""
    plan, home, ledger, console = opened.plan, opened.home, opened.ledger, opened.console
    interrupted = False
    with (
        mirrored(plan, evidence(stored), ledger, home, opened.uri, console) as mirror,
        Display(console, stored, mirror) as display,
    ):
        rounds = Rounds(plan, ledger.get, looks.wanted, options.until_decided)
        training = Training(plan, home, ledger, mirror, display, rounds, options, console)
        try:
            training.run()
            with stopped_like_ctrl_c():
                mirror.finish(display.writing)
        except KeyboardInterrupt:
            interrupted = True
            display.stop("stopping; runs that MLflow lacks are written by the next launch")
    failures = tuple(failure.words for failure in training.failures)
    return Trained(display.trained, failures, interrupted, mirror.trouble, training.checkpoints.folder)


def concluded(opened: Opened, looks: Looks, outcome: Trained, judged: Judged) -> tuple[Analysis, str | None]:
    """Analyse what is stored and write the exports; and what was wrong with the tracker.

    Whoever stops a launch wants the terminal back. The next one draws everything.
    """
    plan, home, uri, console = opened.plan, opened.home, opened.uri, opened.console
    analysis = analysed(plan, opened.ledger, uri) if outcome.interrupted else looks.concluded()
    if analysis.complete:
        shutil.rmtree(outcome.checkpoints, ignore_errors=True)
    trouble = outcome.trouble
    if not outcome.interrupted:
        try:
            judged(analysis)
        finally:
            # A reader that has left (`| head`) costs no file.
            trouble = conclude(analysis, home, uri, console, known_trouble=trouble, again=False)
    return analysis, trouble


def evidence(stored: Mapping[str, str]) -> list[str]:
    """Keys of the cells that did not fail."""
    return [key for key, outcome in stored.items() if outcome in EVIDENCE]


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
