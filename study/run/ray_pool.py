"""Tiles sent through Ray Tune to a pool of workers. One of two files that import Ray.

Importing it takes seconds, and Ray reads its environment then. So `ray_environment.set_environment` must be
called first.
"""

from __future__ import annotations

import logging
import pickle
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

from study.errors import PoolError
from study.plan.job import Job
from study.plan.widths import worker_of_ray
from study.run.containment import contained
from study.run.machines import TYPE, accelerator_of, check_room, holds
from study.run.pool import ANY, Done, Failure, Pool, cause
from study.run.ray_cluster import connected
from study.run.tile import Checkpoints, measure_width, run_job
from study.run.tile_log import TileLogs
from study.spec.workers import Workers
from tracking import LedgerError

log = logging.getLogger(__name__)
JOINING = 300.0
"""How long a cluster may be without any worker [s]."""
LOOK_EVERY = 5.0
"""How often the driver makes sure that there is a cluster [s]."""


@contextmanager
def ray_pool(
    workers: Workers,
    checkpoints: Checkpoints,
    logs: TileLogs,
    address: str | None = None,
    say: Callable[[str], None] = log.info,
) -> Iterator[Pool]:
    """A pool of Ray workers.

    Args:
        checkpoints: a folder that all workers see lets any of them go on with a lost tile.
        logs: in a folder that all workers see, the end of what a failed tile printed can be shown.
        address: a Ray cluster. None starts one on this machine, on the loopback interface, and ends it
            afterwards.
        say: told what is waited for.

    Raises:
        PoolError: there is no such cluster, no worker joins it, or Ray does not start here.
        UserError: no machine can hold a worker.
    """
    # Tune logs a traceback for every lost worker. The tile's `Failure` says the same in one line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)

    with connected(address):
        wait_for_workers(say)
        gpus = workers.gpus_per_worker
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU", 0) > 0 else 0.0
        check_room(workers, gpus, machines())
        yield RayPool(workers, checkpoints, logs, gpus, address or platform.node())


def machines() -> list[Mapping[str, float]]:
    """The resources of each machine of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def wait_for_workers(say: Callable[[str], None] = log.info) -> None:
    """Wait while a cluster has no cpus at all: its head was started before its workers, or anew.

    Raises:
        PoolError: none joins.
    """
    deadline = time.monotonic() + JOINING
    told = False
    while not any(machine.get("CPU", 0) for machine in machines()):
        if time.monotonic() > deadline:
            raise PoolError(f"no worker joined the Ray cluster in {JOINING:g} s; start one, and launch again")
        if not told:
            say("waiting for a worker to join the cluster")
            told = True
        time.sleep(1)


class RayPool:
    """Ray Tune: one trial is one tile, and workers are reused from tile to tile."""

    def __init__(
        self, workers: Workers, checkpoints: Checkpoints, logs: TileLogs, gpus: float, where: str
    ) -> None:
        self._workers, self._checkpoints, self._logs, self._gpus = workers, checkpoints, logs, gpus
        self._name = worker_of_ray(where, workers.cpus_per_worker, gpus)

    @property
    def workers(self) -> Mapping[str, str]:
        """The name under which widths are remembered, for each kind of machine that can hold a worker.

        Raises:
            PoolError: no worker joins the cluster, or no machine that can hold one is left.
        """
        wait_for_workers()
        kinds = sorted({accelerator_of(one) for one in machines() if holds(one, self._workers, self._gpus)})
        if not kinds:
            raise _stopped("no machine of the cluster is left")
        # A cluster of one kind keeps the widths that it remembers if another is added later.
        return {kind: f"{self._name}, {kind}" if len(kinds) > 1 else self._name for kind in kinds}

    @property
    def _device(self) -> str:
        return "cuda" if self._gpus else "cpu"

    def width(self, job: Job, accelerator: str) -> int:
        """How many cells like these one worker best trains together, measured on a worker of that kind.

        Raises:
            PoolError: no machine of that kind is left.
        """
        threads = self._workers.cpus_per_worker
        on = {f"{TYPE}{one}": 0.001 for one in accelerator.split("+") if one}
        task = ray.remote(num_cpus=threads, num_gpus=self._gpus, resources=on)(measured_on_worker)
        measured = task.remote(job, threads, self._device, self._logs)
        while not ray.wait([measured], timeout=LOOK_EVERY)[0]:
            # Ray would wait for ever for a kind of machine that has left.
            if accelerator not in self.workers:
                ray.cancel(measured)
                raise _stopped(f"no machine with {accelerator or 'enough cpus'} is left")
        return int(ray.get(measured))

    def train(self, jobs: Sequence[Job], done: Done) -> list[Failure]:
        """Train tiles on the workers; `done` is called in this process, tile by tile.

        Raises:
            PoolError: Ray stopped. LedgerError: `done` could not store a tile.
        """
        to_ledger = ToLedger(done)
        config = {
            "tile": tune.grid_search([packed(job) for job in jobs]),
            "threads": self._workers.cpus_per_worker,
            "device": self._device,
            "checkpoints": self._checkpoints,
            "logs": self._logs,
        }
        resources = {"cpu": self._workers.cpus_per_worker, "gpu": self._gpus}
        with tempfile.TemporaryDirectory(prefix="stability-study-") as scratch:
            tuner = Tuner(
                tune.with_resources(TileTrainable, resources),
                param_space=config,
                tune_config=TuneConfig(
                    reuse_actors=True, trial_name_creator=lambda trial: f"tile-{trial.trial_id}"
                ),
                run_config=RunConfig(
                    name="tiles",
                    storage_path=str(Path(scratch)),
                    callbacks=[to_ledger],
                    failure_config=FailureConfig(max_failures=self._workers.retries),
                    # Tune would save each finished trial on its worker. The tile of a worker that died in
                    # that moment was trained a second time, although the ledger had it. `run_job` keeps half
                    # a tile, Tune need not.
                    checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                    verbose=0,
                ),
            )
            try:
                results = tuner.fit()
            except Exception as error:
                if to_ledger.broken is not None:
                    raise to_ledger.broken from None
                raise _stopped(cause(error)) from error
        return [
            Failure.of(unpacked(result.config["tile"]), result.error)
            for result in results
            if result.error is not None
        ]


def _stopped(why: str) -> PoolError:
    return PoolError(f"Ray stopped ({why}); what finished is stored: run the same command again")


class ToLedger(Callback):  # type: ignore[misc]  # Ray is not typed
    """Hands each tile's records on before Tune goes on. An error here (a full disk, say) ends the run.

    Attributes:
        broken: what ended the run, if it was the ledger or the cluster. Tune raises another error, which
            does not say so.
    """

    def __init__(self, done: Done) -> None:
        self.broken: LedgerError | PoolError | None = None
        self._done = done
        self._looked = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        records = pickle.loads(
            bytes.fromhex(result.pop("records"))
        )  # made by our own worker, in this cluster
        try:
            self._done(records)
        except LedgerError as error:
            self.broken = error
            raise

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End the run when no machine is left: Tune would wait for one for ever."""
        if time.monotonic() - self._looked <= LOOK_EVERY:
            return
        self._looked = time.monotonic()
        if not any(node["Alive"] for node in ray.nodes()):
            self.broken = _stopped("no machine of the cluster is left")
            raise self.broken

    def __reduce__(self) -> Any:
        # Tune stores its callbacks for a restore, and `done` holds an open database, which cannot be pickled.
        # This project never restores: a restart begins at the ledger.
        return Callback, ()


class TileTrainable(tune.Trainable):  # type: ignore[misc]  # Ray is not typed
    """A worker: keeps torch and the data loaded, and trains one tile after another.

    It has no `save_checkpoint`: Tune never saves one (see `RayPool.train`).
    """

    def setup(self, config: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(config["threads"])
        self._measured: dict[str, int] = {}
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._take(new_config)
        return True

    def _take(self, config: dict[str, Any]) -> None:
        self._job = unpacked(config["tile"])
        self._device: str = config["device"]
        self._checkpoints: Checkpoints = config["checkpoints"]
        self._logs: TileLogs = config["logs"]

    def step(self) -> dict[str, Any]:
        # Tune logs results as JSON where a user has loggers on: records travel as text.
        with self._logs.of(self._job.tile), contained():
            found = run_job(self._job, self._device, self._checkpoints, width=self._width())
        return {"done": True, "records": pickle.dumps(found).hex()}

    def _width(self) -> int | None:
        """How many cells this worker trains together; None where all workers are alike.

        One of a kind that joined after the widths were measured measures its own, once for each setting.
        """
        if not self._job.widths:
            return None
        kind, setting = own_accelerator(), self._job.tile.cells[0].setting
        width = self._job.widths.get(kind) or self._measured.get(setting)
        if width is None:
            width = self._measured[setting] = measure_width(self._job, self._device)
        return width


def own_accelerator() -> str:
    """The accelerator of the machine that this worker runs on."""
    here = ray.get_runtime_context().get_node_id()
    return next((accelerator_of(one["Resources"]) for one in ray.nodes() if one["NodeID"] == here), ANY)


def measured_on_worker(job: Job, threads: int, device: str, logs: TileLogs) -> int:
    """The best width of a worker."""
    import torch

    torch.set_num_threads(threads)
    with logs.of(job.tile), contained():
        return measure_width(job, device)


def packed(job: Job) -> str:
    """A job as text, which is what a configuration of Tune holds."""
    return pickle.dumps(job).hex()


def unpacked(text: str) -> Job:
    """The job that `packed` made a text of."""
    job: Job = pickle.loads(bytes.fromhex(text))  # made by `packed` in the same cluster
    return job
