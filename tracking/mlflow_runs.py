"""What a run of MLflow holds, and complete runs written by MLflow's client, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CELL_KEY = "cell_key"
STUDY = "stability_study"
HOME = "stability_study_home"
"""The tag that says which home a run comes from, where several may share a tracker."""
PAGE = 1000
"""Runs per page of a search."""
THREADS = 8
"""Runs that are written to a server at one time: one alone mostly waits for it.

Measured with a server of four workers on two cores: 32 to 36 runs per second, where one thread wrote 6. A
server of one worker takes 20 to 26 with any number of threads.
"""
Written = Iterator[tuple[str, str | BaseException]]
"""Each cell's key, with the id of its complete run or with why the tracker refuses this cell."""


@dataclass(frozen=True)
class RunContent:
    """All of one finished run.

    Attributes:
        metrics: (name, value, step) of every point.
        start, end: [ms since 1970].
    """

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[tuple[str, float, int]]
    start: int
    end: int

    @property
    def key(self) -> str:
        """Of the cell that the run shows."""
        return self.tags[CELL_KEY]


class ClientRuns:
    """The runs of one experiment through MLflow's client, which needs three requests for each.

    Args:
        threads: runs that are written at one time.
        home: whose runs these are, and those that name no home; None takes all for one home's.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, threads: int = THREADS, home: str | None = None
    ) -> None:
        self._client, self._experiment_id, self._threads = client, experiment_id, threads
        self._home = home

    def listed(self) -> Iterator[tuple[str, str, bool]]:
        """(cell's key, run id, whether the run is complete) of every run of a cell."""
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], f"tags.{STUDY} = 'cell'", max_results=PAGE, page_token=token
            )
            yield from (
                (run.data.tags[CELL_KEY], run.info.run_id, run.info.status != "RUNNING")
                for run in page
                if self._home is None or run.data.tags.get(HOME, self._home) == self._home
            )
            token = page.token
            if not token:
                return

    def write(self, contents: Sequence[RunContent], stop: Callable[[], bool]) -> Written:
        """Write complete runs; each is yielded as soon as it is complete.

        Args:
            stop: called after each run; once it is true, runs in hand are finished and no other is begun.

        Raises:
            Exception: the tracker is unreachable, or writes nothing; no other run is begun.
        """
        trouble: BaseException | None = None
        with ThreadPoolExecutor(self._threads, "mlflow") as pool:
            sent = {pool.submit(self._write, content): content.key for content in contents}
            for done in as_completed(sent):
                if not done.cancelled():
                    error = done.exception()
                    if error is None or refused(error):
                        yield sent[done], error or done.result()
                    else:
                        trouble = trouble or error
                if trouble or stop():
                    for future in sent:
                        future.cancel()
        if trouble:
            raise trouble

    def _write(self, content: RunContent) -> str:
        from mlflow.entities import Metric, Param

        run_id = str(
            self._client.create_run(
                self._experiment_id, start_time=content.start, tags=content.tags, run_name=content.name
            ).info.run_id
        )
        metrics = [Metric(name, value, content.start, step) for name, value, step in content.metrics]
        try:
            self._client.log_batch(
                run_id, metrics=metrics, params=[Param(name, value) for name, value in content.params.items()]
            )
        except Exception as error:
            if refused(error):
                self._client.delete_run(run_id)
            raise
        self._client.set_terminated(run_id, "FINISHED", content.end)
        return run_id


def refused(error: BaseException) -> bool:
    """Whether the tracker finds fault with this run alone, and may well accept others."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.get_http_status_code() == HTTPStatus.BAD_REQUEST
