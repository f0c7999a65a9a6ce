"""Jobs of a Ray cluster, through its HTTP interface. Imports Ray, which takes a second."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from study.cluster.address import cause, check_address, not_ray, token_words
from study.errors import PoolError, UserError

REQUEST_SECONDS = 30.0
"""How long the head may take to answer one request [s]."""
SILENCE = 30.0
"""After how long without a line the connection is looked at [s]: a cut network says nothing."""
OLDEST = (2, 50)
"""The first release of Ray whose jobs this package knows."""
NOISY = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers of Ray with a line for each upload and each connection."""
OVERRULING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables that Ray obeys even where it is given an address. They may name another cluster."""
BEGINS = "begins"
"""Key of a job's metadata."""
SERVER_ERROR = 500
"""From this status on it is the server that is not in order, and not the request."""


class UnreachableError(PoolError):
    """Nobody answers, or a head that is starting; what runs on the cluster may go on."""


class RefusedError(PoolError):
    """The cluster answered a request with an error."""

    def __init__(self, address: str, text: str) -> None:
        self.text = text
        code, _, words = text.partition("status code ")[2].partition(": ")
        self.status = int(code) if code.isdecimal() else 0
        # The last line of a traceback says what is wrong. Ray puts a line with a full stop after it.
        lines = [line.strip() for line in (words or text).splitlines() if line.strip(" .")]
        super().__init__(f"{address} answered: {lines[-1][:300] if lines else f'status {self.status}'}")


@dataclass(frozen=True)
class RayJob:
    """A job as the cluster knows it.

    Attributes:
        message: Ray's own words about its status.
        exit_code: of its command; None while it runs, and where it did not end by itself.
    """

    id: str
    status: str
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def ended(self) -> bool:
        """Whether it finished, failed or was stopped."""
        return bool(JobStatus(self.status).is_terminal())

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it."""
        return bool(self.status == JobStatus.STOPPED)

    @property
    def begins(self) -> int:
        """Where in its log it begins: jobs of one id share a file, so that earlier ones come before it."""
        noted = self.metadata.get(BEGINS, "")
        return int(noted) if noted.isdecimal() else 0


class _Client(JobSubmissionClient):  # type: ignore[misc]  # Ray is not typed
    """Ray's own client, which would wait for ever for a head that takes connections and does not answer."""

    def _do_request(self, method: str, endpoint: str, **more: Any) -> Any:
        return super()._do_request(method, endpoint, **{"timeout": REQUEST_SECONDS} | more)


class Jobs:
    """The jobs of one cluster.

    Args:
        address: `http://HOST:8265`, or `https://…` behind a proxy.

    Raises:
        UserError: it is no such address, or the cluster's token is missing or wrong.
        UnreachableError: nobody answers there.
        PoolError: what answers is not Ray's dashboard, or too old. From every method likewise.
    """

    def __init__(self, address: str) -> None:
        self.address = check_address(address)
        for noisy in NOISY:
            logging.getLogger(noisy).setLevel(logging.ERROR)
        try:
            with _not_overruled():
                self._client: Any = self._ask(lambda: _Client(self.address))
            version = str(self._client._server_ray_version)
            found = tuple(map(int, version.split(".")[:2]))
        except UserError:
            raise
        except (ValueError, TypeError, KeyError):
            raise PoolError(not_ray(self.address)) from None
        if found < OLDEST:
            raise PoolError(
                f"{self.address} has Ray {version}; wanted at least {'.'.join(map(str, OLDEST))}; "
                "upgrade the cluster"
            )

    def submit(self, id_: str, command: str, folder: Path, metadata: Mapping[str, str]) -> bool:
        """Have the head run a shell command in a copy of a folder; False where a job has that id already.

        Raises:
            UserError: the cluster's token is missing or wrong.
            PoolError: nobody answers, the head is still starting, or it refuses the job.
        """
        given = {
            "entrypoint": command,
            "submission_id": id_,
            "runtime_env": {"working_dir": str(folder)},
            "metadata": dict(metadata),
        }
        try:
            self._ask(lambda: self._client.submit_job(**given))
        except RefusedError as error:
            if f"{id_} already exists" in error.text:
                return False
            raise _starting(error) from None
        return True

    def find(self, id_: str) -> RayJob | None:
        """The job of that id; None where the cluster knows none.

        Raises:
            UserError: the cluster's token is missing or wrong.
            PoolError: nobody answers, the head is still starting, or it refuses to say.
        """
        try:
            return _job(self._ask(lambda: self._client.get_job_info(id_)))
        except RefusedError as error:
            if error.status == requests.codes.not_found:
                return None
            raise _starting(error) from None

    def running(self, study: str) -> list[RayJob]:
        """The launches of a study that have not ended, whatever their spec.

        Raises:
            UserError: the cluster's token is missing or wrong.
            PoolError: nobody answers, the head is still starting, or it refuses to say.
        """
        try:
            listed = self._ask(self._client.list_jobs)
        except RefusedError as error:
            raise _starting(error) from None
        every = [_job(one) for one in listed if one.submission_id]
        return [job for job in every if job.metadata.get("study") == study and not job.ended]

    def text(self, id_: str) -> str:
        """All that a job printed."""
        return str(self._ask(lambda: self._client.get_job_logs(id_)))

    def follow(self, id_: str, skip: int = 0) -> Iterator[str]:
        """What a job prints, as it prints it, until it ends or is silent for a while.

        Args:
            skip: characters that are known already.
        """
        pieces = self._client.tail_job_logs(id_)
        with asyncio.Runner() as runner:
            while True:
                try:
                    piece = self._ask(lambda: runner.run(_next(pieces)))
                # A silence, or a connection that broke: whoever asked looks how the job is, and comes back.
                except (TimeoutError, RefusedError):
                    return
                if piece is None:
                    return
                known, skip = min(skip, len(piece)), max(skip - len(piece), 0)
                if piece[known:]:
                    yield piece[known:]

    def stop(self, id_: str) -> bool:
        """Ask a job to end; False where it had ended."""
        return bool(self._ask(lambda: self._client.stop_job(id_)))

    def forget(self, id_: str) -> None:
        """Remove what the cluster knows of a job that has ended, so that its id can be used again."""
        # Whoever was here at the same time may have done so.
        with suppress(RefusedError):
            self._ask(lambda: self._client.delete_job(id_))

    def _ask(self, question: Any) -> Any:
        import aiohttp

        try:
            return question()
        except AuthenticationError as error:
            raise UserError(token_words(self.address, str(error))) from None
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                raise UserError(token_words(self.address, str(error.status))) from None
            raise RefusedError(self.address, f"status code {error.status}: {error.message}") from None
        except (requests.exceptions.RequestException, aiohttp.ClientError, ConnectionError) as error:
            # Before RuntimeError: some of these are both.
            if isinstance(error, (requests.exceptions.HTTPError, requests.exceptions.JSONDecodeError)):
                raise PoolError(not_ray(self.address)) from None
            why = cause(error, REQUEST_SECONDS)
            raise UnreachableError(
                f"cannot reach a Ray cluster at {self.address} ({why}); start it, or name another with "
                "--cluster; the address is that of its dashboard"
            ) from None
        except RuntimeError as error:
            text = str(error)
            if "Version check returned 404" in text:
                raise PoolError(not_ray(self.address)) from None
            raise RefusedError(self.address, text) from None


@contextmanager
def _not_overruled() -> Iterator[None]:
    """Let Ray take the address that it is given."""
    kept = {name: os.environ.pop(name) for name in OVERRULING if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _starting(error: RefusedError) -> PoolError:
    """A head answers before it has all that jobs need; then it is to be asked again."""
    return UnreachableError(str(error)) if error.status >= SERVER_ERROR else error


async def _next(pieces: AsyncIterator[str]) -> str | None:
    """The next piece; None after the last.

    Raises:
        TimeoutError: there was none for a while.
    """
    return await asyncio.wait_for(anext(pieces, None), SILENCE)


def _job(found: JobDetails) -> RayJob:
    return RayJob(
        id=found.submission_id or "",
        status=found.status,
        message=found.message or "",
        metadata=found.metadata or {},
        exit_code=found.driver_exit_code,
    )
