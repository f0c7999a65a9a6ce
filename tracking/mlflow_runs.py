"""What a run of MLflow holds, and complete runs written to a server, several at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CELL_KEY = "cell_key"
STUDY = "stability_study"
PAGE = 1000
"""Runs per page of a search: MLflow's limit for one page is higher, its advice is not."""
THREADS = 8
"""Runs on their way to a server at one time: one client alone mostly waits."""


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


class ServerRuns:
    """The runs of one experiment on an MLflow server, by its REST interface: three requests a run."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client, self._experiment_id = client, experiment_id

    def listed(self) -> Iterator[tuple[str, str, bool]]:
        """(cell's key, run id, whether the run is complete) of every run of a cell."""
        token = None
        while True:
            page = self._client.search_runs([self._experiment_id], f"tags.{STUDY} = 'cell'", max_results=PAGE, page_token=token)
            yield from ((run.data.tags[CELL_KEY], run.info.run_id, run.info.status != "RUNNING") for run in page)
            token = page.token
            if not token:
                return

    def write(self, contents: Sequence[RunContent]) -> Generator[tuple[str, str | BaseException]]:
        """Each cell's key with the id of its run as soon as that is complete, or with what went wrong; who stops listening stops what has not begun."""
        with ThreadPoolExecutor(THREADS, "mlflow") as pool:
            sent = {pool.submit(self._write, content): content.key for content in contents}
            try:
                for done in as_completed(sent):
                    yield sent[done], done.exception() or done.result()
            finally:
                for future in sent:
                    future.cancel()

    def _write(self, content: RunContent) -> str:
        from mlflow.entities import Metric, Param

        run_id = str(self._client.create_run(self._experiment_id, start_time=content.start, tags=content.tags, run_name=content.name).info.run_id)
        metrics = [Metric(name, value, content.start, step) for name, value, step in content.metrics]
        self._client.log_batch(run_id, metrics=metrics, params=[Param(name, value) for name, value in content.params.items()])
        self._client.set_terminated(run_id, "FINISHED", content.end)
        return run_id
