"""What is stored of a study, shown in files, Optuna and MLflow, after a launch or later by `study sync`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from study.analysis import Analysis
from study.errors import UserError
from study.home import Home
from study.home_files import make_private, refuse_links
from study.plan.cells import Plan, make_plan
from study.report.amounts import amount
from study.report.terminal.words import tell
from study.report.tracker_figures import summary, tags
from study.report.tracker_page import page_of
from study.run.drawing import Drawing
from study.run.progress import EVERY
from study.run.tracker import address_of
from study.spec.model import StudySpec
from study.spec.read import parse_stored
from study.stored import Shown, analysed, damaged_lines
from tracking import EVIDENCE, Ledger, Mirror, ReplacedError, identity, words_of
from tracking.mlflow_page import table

log = logging.getLogger(__name__)
if TYPE_CHECKING:
    from tracking.mlflow_store import MlflowStore


@contextmanager
def mirrored(
    plan: Plan, stored: list[str], ledger: Ledger, home: Home, uri: str, console: Console
) -> Iterator[Mirror]:
    """Mirror the study's cells in MLflow, beginning with those that are stored and not yet shown.

    When the block raises, the mirror stops after the runs in hand. The ledger has the rest.
    """
    name = plan.spec.name
    # The mirror sees by itself which of the study's runs a new database lacks, from what the ledger noted.
    mirror = Mirror(partial(open_mlflow, uri, plan, home, console, keep=name), home.ledger, name, uri)
    shown = ledger.runs(plan.spec.name, uri)
    mirror.add(key for key in stored if key not in shown)
    try:
        yield mirror
    finally:
        mirror.finish(give_up=True)


def sync(spec: StudySpec, home: Home, console: Console, tracking_uri: str | None = None) -> Shown:
    """Bring MLflow up to what the ledger has.

    Missing runs are written, unfinished and doubled ones mended, files and tags renewed.

    Raises:
        UserError: there is no ledger, or another process is launching the study.
        LedgerError: the home cannot be written.
    """
    uri = address_of(tracking_uri, home)
    with closing(_existing(home)) as ledger, home.hold(spec.name):
        plan = make_plan(spec, ledger.fingerprints(spec.name))
        outcomes = plan.own(ledger.outcomes(plan.settings))
        stored = [key for key, outcome in outcomes.items() if outcome in EVIDENCE]
        started = printed = time.monotonic()

        def report() -> None:
            nonlocal printed
            if time.monotonic() - printed >= EVERY:
                printed = time.monotonic()
                left = mirror.waiting
                doing = f"{amount(left, 'run')} left to write" if left else "still looking"
                tell(console, f"{spec.name}: {doing}, {printed - started:.0f} s")

        cells = amount(len(stored), "stored cell")
        tell(console, f"{spec.name}: looking at what MLflow has of {cells}")
        with mirrored(plan, stored, ledger, home, uri, console) as mirror:
            mirror.finish(report)
        trouble = mirror.trouble
        if not stored and ledger.meanings(spec.name):
            trouble = (
                "what is stored belongs to other data, code or settings than now; launch says what differs"
            )
        elif stored and trouble is None and judging_runs(spec):
            tell(
                console,
                f"{spec.name}: its verdicts and files stay as they are, because judging it again runs code "
                "of its own; give the spec's file to have that done: study sync SPEC",
            )
        elif stored and trouble is None:
            found = analysed(plan, ledger, uri)
            trouble = conclude(found, home, uri, console)
        if ledger.damaged:
            trouble = "; ".join([*damaged_lines(ledger.damaged), "launch the study to train them again"])
        return Shown(spec.name, len(stored), runs_of(plan, ledger, uri), trouble)


def judging_runs(spec: StudySpec) -> bool:
    """Whether judging would run code that a home names, which may be anybody's."""
    return not spec.code.trusted and bool(spec.claims)


def sync_all(home: Home, console: Console, tracking_uri: str | None = None) -> list[Shown]:
    """`sync` of every study of the home, as it was last launched; one that fails does not stop the others.

    Nothing that the home names is run.

    Raises:
        UserError: there is no ledger.
    """
    with closing(_existing(home)) as ledger:
        specs = ledger.studies()
    found = []
    for name, text in specs.items():
        try:
            found.append(sync(parse_stored(text, name), home, console, tracking_uri))
        except UserError as error:
            found.append(Shown(name, 0, 0, str(error)))
    return found


def _existing(home: Home) -> Ledger:
    home.require_ledger()
    return home.open_ledger()


def runs_of(plan: Plan, ledger: Ledger, uri: str) -> int:
    """How many cells of a study its tracker has."""
    return len(ledger.runs(plan.spec.name, uri).keys() & set(plan.keys))


def conclude(
    analysis: Analysis,
    home: Home,
    uri: str,
    console: Console,
    *,
    known_trouble: str | None = None,
    again: bool = True,
) -> str | None:
    """Write regions, importances, claims and pictures to files, to Optuna's storage and to MLflow.

    Args:
        known_trouble: what is wrong with MLflow already. Another try could take minutes, so there is none.
        again: draw and write what is there, too. Otherwise files stay that were made from the same cells, by
            the same code.

    Returns:
        What was wrong with MLflow; it does not cost the study its result.

    Raises:
        LedgerError: the home cannot be written.
    """
    log.info("analysing %d stored cells of %s", len(analysis.stored), analysis.plan.spec.name)
    drawing = Drawing(analysis, home, console)
    drawing.write(again=again)
    if known_trouble:
        return known_trouble
    # Of a server only itself could tell, file by file.
    if uri == home.mlflow_uri and drawing.shown():
        return None
    tell(console, "writing files to MLflow")
    folder = home.exports(analysis.plan.spec.name)
    folders = dict.fromkeys(path.parent for path in drawing.files if path.parent != folder)
    files = [path for path in drawing.files if path.parent == folder]
    try:
        store = open_mlflow(uri, analysis.plan, home, console)
        names = [path.relative_to(folder).as_posix() for path in drawing.files]
        store.finish(summary(analysis), tags(analysis), [*folders, *files], page_of(analysis, names))
    except Exception as error:
        # Any fault of a tracker, its own or the network's.
        if isinstance(error, ReplacedError):
            _forget_runs(home)
        return words_of(error)
    if uri == home.mlflow_uri:
        drawing.note_shown(store.parent_id)
    elif uri.startswith("http"):
        page = f"{identity(uri).rstrip('/')}/{table(store.experiment_id)}"
        tell(console, f"in MLflow: {page}")
    return None


def open_mlflow(
    uri: str, plan: Plan, home: Home, console: Console, *, keep: str | None = None
) -> MlflowStore:
    """The study's runs in MLflow.

    Args:
        keep: a study whose runs stay noted when the home's own database had to be replaced.
    """
    from tracking.mlflow_store import MlflowStore

    def replaced(told: str) -> None:
        tell(console, told)
        _forget_runs(home, keep=keep)

    varied = {key: dict(setting.condition.varied) for key, setting in plan.settings.items()}
    if uri == home.mlflow_uri:
        new = not home.mlflow_database.is_file()
        store = MlflowStore(uri, plan.spec.name, home.mlflow_artifacts, varied, replaced)
        if new:
            make_private(home.mlflow_database)
        return store
    # A database elsewhere is not the home's to set aside, and other homes may have the study there, too.
    with closing(home.open_ledger()) as ledger:
        identity = ledger.identity
    return MlflowStore(uri, plan.spec.name, home.mlflow_artifacts, varied, home=identity)


def open_database(home: Home, tell: Callable[[str], None]) -> None:
    """Leave the home's MLflow database as somebody else can open it, at the place where the home is now.

    Raises:
        UserError: what the server would write leads out of the home.
    """
    from tracking.mlflow_addresses import relocate
    from tracking.mlflow_file import make_whole
    from tracking.mlflow_store import quiet

    quiet()

    def replaced(told: str) -> None:
        tell(told)
        _forget_runs(home)

    refuse_links(home.root, (home.mlflow_artifacts,))
    file = home.mlflow_database.resolve()
    make_whole(file, replaced)
    relocate(file, home.mlflow_artifacts)


def _forget_runs(home: Home, keep: str | None = None) -> None:
    """Note that the home's MLflow has no runs any more, but for those of one study."""
    with closing(home.open_ledger()) as ledger:
        ledger.forget_tracker(home.mlflow_uri, keep=keep)
