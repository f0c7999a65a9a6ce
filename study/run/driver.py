"""The cells that a study lacks, on their way from the workers into the ledger."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from types import FrameType

from rich.console import Console

from search_spaces import Cell
from study.home import Home
from study.plan.cells import Plan
from study.plan.job import Job
from study.plan.widths import known_width
from study.report.terminal.words import tell
from study.run.launch_options import LaunchOptions
from study.run.pool import ANY, Failure, Pool, in_this_process
from study.run.progress import Display, Showing
from study.run.ray_environment import check_temporary_folder, set_environment
from study.run.ray_token import keep_token_private, use_found_token
from study.run.records import failed_records
from study.run.reservations import Reservations
from study.run.tile import Checkpoints
from study.run.tile_log import TileLogs
from tracking import EVIDENCE, CellRecord, Ledger

log = logging.getLogger(__name__)
FALLBACK = 8
"""Cells per tile where the best number could not be measured."""
LOOK_EVERY = 0.5
"""Pause between two looks at what another study trains [s]."""


class Training:
    """Trains what is missing, round by round, and stores each tile as it ends.

    Args:
        rounds: what is trained together, in this order.
        console: where the cluster that is used is named.
    """

    def __init__(
        self,
        plan: Plan,
        home: Home,
        ledger: Ledger,
        mirror: Showing,
        display: Display,
        rounds: Iterable[Plan],
        options: LaunchOptions,
        console: Console,
    ) -> None:
        self._plan, self._ledger, self._mirror, self._display = plan, ledger, mirror, display
        self._rounds, self._options, self._console = rounds, options, console
        # Absolute: a worker's current folder need not be the launch's.
        folder = home.checkpoints(plan.spec.name).resolve()
        self.checkpoints = Checkpoints(folder, plan.spec.workers.checkpoint_every)
        self.logs = TileLogs(home.logs(plan.spec.name).resolve())
        self.failures: list[Failure] = []
        self._jobs: dict[str, Job] = {}
        self._reservations = Reservations(home, ledger, plan.spec.name)

    def run(self) -> None:
        """Train every round until nothing is missing, or what is missing failed.

        Raises:
            KeyboardInterrupt: Ctrl-C, or SIGTERM; what finished is stored.
            UserError, PoolError: there are no workers.
            LedgerError: the home cannot be written.
        """
        rounds = iter(self._rounds)
        first = next(rounds, None)
        # Starting Ray takes seconds: a study that lacks nothing must not wait for it.
        if first is None or not self._missing(first):
            return
        self._display.expect(len(self._missing(first)))
        with self._pool() as pool, stopped_like_ctrl_c(), self._reservations, self._stopping_aloud():
            for part in chain([first], rounds):
                missing = self._missing(part)
                log.info("a round misses %d of its %d cells", len(missing), len(part.cells))
                while missing:
                    missing = self._train_free(part, missing, pool)

    def _train_free(self, part: Plan, missing: list[Cell], pool: Pool) -> list[Cell]:
        """Train the cells that no other study is training, or wait a moment; those that are left."""
        free = self._reservations.take(missing)
        if free:
            widths = self._widths(free, pool)
            jobs = part.jobs(free, {key: max(found.values()) for key, found in widths.items()})
            # Where the spec says how many, no worker is to choose.
            if set(pool.workers) != {ANY} and self._plan.spec.workers.tile is None:
                jobs = [replace(job, widths=widths[job.tile.cells[0].setting]) for job in jobs]
            self._display.train(len(free), len(jobs))
            self._display.expect(len(missing))
            self.failures += self._train(jobs, pool)
            self._reservations.release()
        keys = {cell.key for cell in free}
        left = [cell for cell in missing if cell.key not in keys]
        found = self._ledger.evidence(cell.key for cell in left)
        if found:
            self._mirror.add(found)
            self._display.found(list(self._ledger.get(found).values()))
        elif left and not free:
            if others := ", ".join(self._reservations.others(left)):
                self._display.waits(f"{others} trains {len(left)} of these cells now; waiting for them")
            time.sleep(LOOK_EVERY)
        return [cell for cell in left if cell.key not in found]

    def _pool(self) -> AbstractContextManager[Pool]:
        if self._options.here:
            return in_this_process(self.checkpoints, self.logs)
        return self._ray()

    @contextmanager
    def _ray(self) -> Iterator[Pool]:
        address = self._options.address
        with reached(address, self._console):
            from study.run.ray_pool import ray_pool

            spec, say = self._plan.spec.workers, self._display.begin
            with ray_pool(spec, self.checkpoints, self.logs, address, say) as pool:
                yield pool

    @contextmanager
    def _stopping_aloud(self) -> Iterator[None]:
        """Answer Ctrl-C at once: Ray needs seconds to end its workers."""
        try:
            yield
        except KeyboardInterrupt:
            self._display.stop(
                "stopping: what finished is kept; a tile in training begins again next time, "
                f"or goes on from its last checkpoint (one every {self.checkpoints.every:g} s)"
            )
            raise

    def _missing(self, part: Plan) -> list[Cell]:
        """The cells of a round that are not stored as evidence."""
        outcomes = part.own(self._ledger.outcomes(part.settings))
        return part.missing({key for key, outcome in outcomes.items() if outcome in EVIDENCE})

    def _train(self, jobs: list[Job], pool: Pool) -> list[Failure]:
        """Train tiles. Halve those that did not fit into memory, and store the other failures as such."""
        self._jobs = {cell.key: job for job in jobs for cell in job.tile.cells}
        failed = pool.train(jobs, self._done)
        large = [
            failure.job for failure in failed if failure.out_of_memory and len(failure.job.tile.cells) > 1
        ]
        rest = [
            replace(failure, printed=self.logs.tail(failure.job.tile))
            for failure in failed
            if failure.job not in large
        ]
        for failure in rest:
            self._ledger.add(failed_records(failure.job, failure.reason))
        if large:
            rest += self._train([half for job in large for half in job.halves()], pool)
        return rest

    def _done(self, records: list[CellRecord]) -> None:
        # The order is the promise: nothing is shown, and no checkpoint removed, before the ledger has it.
        self._ledger.add(self._with_log(record) if record.failed else record for record in records)
        self.checkpoints.clear(records)
        done = [record for record in records if not record.failed]
        for record in records:
            if record.failed:
                job = self._jobs[record.key]
                self.failures.append(Failure(job, record.reason or "", printed=self.logs.tail(job.tile)))
        self._mirror.add(record.key for record in done)
        self._display.add(done)
        log.info("stored %d cells, first %s", len(records), records[0].key)

    def _with_log(self, record: CellRecord) -> CellRecord:
        """A failed cell of the user's own training, with the place of what it printed behind the reason."""
        place = self.logs.place(self._jobs[record.key].tile)
        return replace(record, reason=f"{record.reason}; its output is in {place}") if place else record

    def _widths(self, missing: list[Cell], pool: Pool) -> dict[str, dict[str, int]]:
        """Cells per tile by accelerator, by the key of each setting that misses cells, in the plan's order.

        Tiles are cut for the workers that take most. Others train them in parts.
        """
        lacking = {cell.setting for cell in missing}
        # Asked once: machines come and go meanwhile.
        workers = pool.workers
        found: dict[str, dict[str, int]] = {}
        for key in self._plan.settings:
            if key in lacking:
                found[key] = {kind: self._width(key, pool, kind, name) for kind, name in workers.items()}
        return found

    def _width(self, key: str, pool: Pool, accelerator: str, worker: str) -> int:
        """The spec's width, or the remembered one, or a measured one.

        Args:
            worker: the name of workers with this accelerator.
        """
        width = known_width(self._plan, key, self._ledger, worker)
        job = self._plan.largest(key)
        most = len(job.tile.cells)
        if width is None:
            setting = self._plan.settings[key].name
            on = f" on {accelerator}" if accelerator else ""
            self._display.begin(f"measuring how many cells of {setting} are best trained together{on}")
            try:
                width = pool.width(job, accelerator)
            except Exception:
                # Whatever breaks a measurement breaks tiles too, which have retries and store the reason.
                # The fallback is not remembered: the next launch measures again.
                return min(FALLBACK, most)
            self._ledger.note_width(key, worker, width, most)
        log.info("setting %s trains %d of at most %d cells per tile on %s", key, width, most, worker)
        return width


@contextmanager
def reached(address: str | None, console: Console) -> Iterator[None]:
    """Be connected to a Ray cluster, and say which: `auto` takes one that somebody else may have started.

    Args:
        address: None starts one on this machine, which ends with the block.

    Raises:
        PoolError: there is no such cluster, or Ray does not start here.
        UserError: Ray cannot start here.
    """
    set_environment(alone=address is None)
    say = partial(tell, console)
    if address is None:
        check_temporary_folder()
        keep_token_private()
        threading.Thread(target=import_torch, daemon=True).start()
    else:
        keep_token_private(make=False)
        if use_found_token(address):
            say("using the token of your Ray clusters")
    # Not before the environment is set: Ray reads it when it is imported.
    from study.run.ray_cluster import connected

    with connected(address, say):
        yield


def import_torch() -> None:
    """What loading data needs first, loaded while Ray starts: it waits for processes of its own."""
    # Whoever needs it meets what is wrong with it, and says so.
    with suppress(Exception):
        import torch  # noqa: F401


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, with which schedulers and containers stop a process, end the training as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Python allows signal handlers in the main thread alone, and `study.launch` may be called in another.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
