"""A zoom: the cells of a fine window, trained from coarse to fine, and a picture drawn as they come."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from study.home import Home
from study.home_files import refuse_links
from study.measures.fine_map import FineMap
from study.plan.cells import Plan, make_plan
from study.plan.changes import refuse_other_meaning
from study.plan.window import Window, levels, zoom_plan
from study.report.plain.zooms import zoom_metrics, zoom_params
from study.report.terminal.words import tell
from study.report.zoom_files import progress_picture, zoom_files
from study.run.driver import Training, reached, stopped_like_ctrl_c
from study.run.launch import loaded
from study.run.launch_options import DEFAULT_OPTIONS, LaunchOptions
from study.run.progress import Display
from study.run.sync import open_mlflow
from study.run.tile_log import apart
from study.run.tracker import address_of
from study.spec.model import StudySpec
from study.stored import set_aside_lines
from study.zoom_result import ZoomResult
from tracking import EVIDENCE, CellRecord, Ledger, LedgerError, words_of
from tracking.mlflow_zoom import show_zoom

EVERY = 10.0
"""Least pause between two pictures while cells are trained [s]."""
PAUSE_PER_DRAWING = 20
"""A pause is so many times as long as the drawing before it, which takes a share of the time that way."""
CHUNK = 2_000
"""Records that are read at a time: all of a picture at once would fill hundreds of megabytes."""


def zooms_of(home: Home) -> Home:
    """Where the cells of zooms are kept: a home in the home, with a ledger of its own.

    So no zoom changes a verdict, a landscape, a count or an MLflow table of a study, and a ledger that is
    copied or looked through stays as small as its studies.
    """
    return Home(home.root / "zooms")


def zoom(
    spec: StudySpec,
    window: Window,
    home: Home,
    console: Console,
    options: LaunchOptions = DEFAULT_OPTIONS,
) -> ZoomResult:
    """Train what a window lacks, and write its picture and numbers.

    Raises:
        UserError: something cannot be made, or the home cannot be used, and nothing was changed; or another
            process zooms into this study.
        PoolError: Ray cannot be reached, or it stopped; what finished is stored.
        LedgerError: the home can no longer be written; what was stored is whole.
    """
    started = time.monotonic()
    own, uri = zooms_of(home), address_of(options.tracking_uri, home)
    with apart(console), ExitStack() as stack:
        refuse_links(home.root, (own.root,))
        own.refuse_busy(spec.name)
        tell(console, f"loading {window.setting.title}")
        prints, printed = loaded(spec)
        plan = zoom_plan(spec, window, prints)
        _refuse_other_meaning(spec, prints, home)
        # A zoom that lacks nothing needs no cluster, and without one nothing is made.
        if not options.here and len(_stored(plan, own)) < len(plan.cells):
            stack.enter_context(reached(options.address, console))
        home.prepare()
        own.prepare()
        stack.enter_context(home.writing(spec.name))
        stack.enter_context(own.hold(spec.name))
        ledger = stack.enter_context(closing(own.open_ledger()))
        printed.save(own.logs(spec.name) / "loading.log")
        ledger.note_fingerprints(spec.name, prints)
        if damaged := _take_over(plan, home, ledger):
            tell(console, "\n".join(set_aside_lines(damaged)))
        found = ZoomResult(spec.name, window, plan, FineMap(plan.keys, window.points), spec.region.confidence)
        _read(found.map, plan, ledger)
        folder = home.exports(spec.name) / "zooms"
        known = found.map.known
        left = f"{len(plan.cells) - known:,} to train" if not found.complete else "nothing to train"
        tell(console, f"{window.name}: {len(plan.cells):,} cells, {known:,} stored, {left}")
        found = _trained(found, own, ledger, console, folder, options)
        if not found.complete:
            with _writing(folder, "what finished is stored"):
                files = [progress_picture(found, folder)] if found.map.known else []
            return dataclasses.replace(found, files=tuple(files), seconds=time.monotonic() - started)
        tell(console, "drawing and writing files")
        with _writing(folder, "every cell is stored"):
            found = dataclasses.replace(found, files=tuple(zoom_files(found, folder)))
        trouble = _shown(found, spec, home, uri, console, prints)
        return dataclasses.replace(found, trouble=trouble, seconds=time.monotonic() - started)


@contextmanager
def _writing(folder: Path, kept: str) -> Iterator[None]:
    """Write files of a zoom.

    Args:
        kept: what is not lost, in words.

    Raises:
        LedgerError: they cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise LedgerError(
            f"{folder} cannot be written ({error.strerror or error}); {kept}: "
            "make room, and run the same command again"
        ) from error


def _trained(
    found: ZoomResult, home: Home, ledger: Ledger, console: Console, folder: Path, options: LaunchOptions
) -> ZoomResult:
    """Train from coarse to fine what is missing."""
    plan, nobody = found.plan, Nobody()
    painter = Painter(lambda: progress_picture(found, folder))
    interrupted = False
    stored = plan.own(ledger.outcomes(plan.settings))
    with ZoomDisplay(console, stored, nobody, len(plan.cells), found.map, painter) as display:
        rounds = _rounds(plan, found.window, ledger, painter)
        training = Training(plan, home, ledger, nobody, display, rounds, options, console)
        try:
            training.run()
        except KeyboardInterrupt:
            interrupted = True
            display.stop("stopping; what finished is kept")
    # What another zoom of the home trained meanwhile, too.
    if not found.complete:
        _read(found.map, plan, ledger)
    return dataclasses.replace(
        found,
        trained=display.trained,
        failures=tuple(failure.words for failure in training.failures),
        interrupted=interrupted,
    )


def _rounds(plan: Plan, window: Window, ledger: Ledger, painter: Painter) -> Iterator[Plan]:
    """The levels that miss cells; a picture after each."""
    for _, part in levels(plan, window):
        if len(_evidence(part, ledger)) < len(part.cells):
            yield part
            painter.paint()


class Nobody:
    """What the cells of a zoom are shown in: nothing, because its picture shows them."""

    trouble: str | None = None
    waiting = 0

    def add(self, keys: Iterable[str]) -> None:
        """Show nothing."""


class Painter:
    """Draws the picture now and then, so that drawing costs a small part of the time."""

    def __init__(self, draw: Callable[[], object]) -> None:
        self._draw = draw
        self._next = 0.0

    def maybe(self) -> None:
        """Draw where the last picture is old enough."""
        if time.monotonic() >= self._next:
            self.paint()

    def paint(self) -> None:
        """Draw."""
        began = time.monotonic()
        # A picture on the way must not end the training. The ledger says it when there is no room.
        with suppress(OSError):
            self._draw()
        ended = time.monotonic()
        self._next = ended + max(EVERY, PAUSE_PER_DRAWING * (ended - began))


class ZoomDisplay(Display):
    """What a zoom shows while it runs: how much of the whole picture is there.

    Args:
        cells: of the whole picture, all rounds together.
    """

    def __init__(
        self,
        console: Console,
        stored: dict[str, str],
        nobody: Nobody,
        cells: int,
        found: FineMap,
        painter: Painter,
    ) -> None:
        super().__init__(console, stored, nobody)
        self._cells, self._map, self._painter = cells, found, painter

    def expect(self, cells: int) -> None:
        """Know that all rounds are to come, not this one alone."""
        self.total = self._cells
        self._bar.update(self._task, total=self.total)

    def add(self, records: list[CellRecord]) -> None:
        """Count a finished tile, and put it into the picture."""
        super().add(records)
        self._map.add(records)
        self._painter.maybe()

    def found(self, records: list[CellRecord]) -> None:
        """Put in what another zoom of the home has trained."""
        super().found(records)
        self._map.add(records)


def _refuse_other_meaning(spec: StudySpec, prints: dict[str, str], home: Home) -> None:
    """Refuse a spec whose name stands for stored cells of another meaning, as a launch does."""
    if home.ledger.exists():
        with closing(Ledger(home.ledger, create=False)) as ledger:
            refuse_other_meaning(make_plan(spec, prints), ledger.meanings(spec.name))


def _evidence(plan: Plan, ledger: Ledger) -> list[str]:
    outcomes = plan.own(ledger.outcomes(plan.settings))
    return [key for key, outcome in outcomes.items() if outcome in EVIDENCE]


def _stored(plan: Plan, home: Home) -> list[str]:
    """The cells of a plan that a home has."""
    if not home.ledger.exists():
        return []
    with closing(Ledger(home.ledger, create=False)) as ledger:
        return _evidence(plan, ledger)


def _take_over(plan: Plan, home: Home, ledger: Ledger) -> dict[str, str]:
    """Take the cells that the study itself has trained.

    Returns:
        Why each record of the zooms that was set aside is damaged, by key.
    """
    damaged = ledger.set_aside_damaged(plan.own(ledger.outcomes(plan.settings)))
    if not home.ledger.exists():
        return damaged
    with closing(Ledger(home.ledger, create=False)) as studies:
        outcomes = plan.own(studies.outcomes(plan.settings))
        wanted = [key for key, outcome in outcomes.items() if outcome in EVIDENCE]
        if wanted:
            ledger.add(studies.get(wanted).values())
    return damaged


def _read(found: FineMap, plan: Plan, ledger: Ledger) -> None:
    """Put what is stored into a map."""
    keys = _evidence(plan, ledger)
    for at in range(0, len(keys), CHUNK):
        found.add(ledger.get(keys[at : at + CHUNK]).values())


def _shown(
    found: ZoomResult, spec: StudySpec, home: Home, uri: str, console: Console, prints: dict[str, str]
) -> str | None:
    """Write the run of a zoom to MLflow; what was wrong with it."""
    identity = None
    if uri != home.mlflow_uri:
        with closing(home.open_ledger()) as ledger:
            identity = ledger.identity
    try:
        with stopped_like_ctrl_c():
            store = open_mlflow(uri, make_plan(spec, prints), home, console)
            params, metrics = zoom_params(found.window), zoom_metrics(found)
            show_zoom(store, found.window.name, params, metrics, found.files, identity)
    # Any fault of a tracker, its own or the network's, costs a zoom nothing.
    except Exception as error:
        return words_of(error)
    return None
