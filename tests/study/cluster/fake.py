"""Jobs of a cluster that is not there, and bundles for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from study.cluster.answer import packed, printed
from study.cluster.bundle import SPEC, Bundle
from study.cluster.jobs import RayJob, RefusedError, UnreachableError

BUNDLE = Bundle("tiny", "tiny.yaml", "0123456789abcdef" * 4, {SPEC: b"name: tiny\n"})
Step = Callable[["FakeJobs", str], None]


@dataclass
class FakeJobs:
    """What `study.cluster.jobs.Jobs` is to whoever uses it.

    Attributes:
        known: jobs by id. logs: by id; as on a head, they outlive the job.
        steps: what happens each time that somebody follows or looks, in order; afterwards jobs finish.
        sent: the files of each submission. asked: the commands.
    """

    address: str = "http://head:8265"
    known: dict[str, RayJob] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    sent: list[set[str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def submit(self, id_: str, command: str, folder: Path, metadata: Mapping[str, str]) -> bool:
        if id_ in self.known:
            return False
        self.asked.append(command)
        self.sent.append({str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()})
        self.known[id_] = RayJob(id_, "RUNNING", metadata=dict(metadata))
        self.logs[id_] = self.logs.get(id_, "") + f"begin {len(self.asked)}\n"
        return True

    def find(self, id_: str) -> RayJob | None:
        found = self.known.get(id_)
        if found is not None and not found.ended and "question" in found.metadata:
            self._happen(id_)
        return self.known.get(id_)

    def running(self, study: str) -> list[RayJob]:
        return [job for job in self.known.values() if job.metadata.get("study") == study and not job.ended]

    def text(self, id_: str) -> str:
        return self.logs.get(id_, "")

    def follow(self, id_: str, skip: int = 0) -> Iterator[str]:
        yield self.logs[id_][skip:]
        shown = len(self.logs[id_])
        self._happen(id_)
        yield self.logs[id_][shown:]

    def stop(self, id_: str) -> bool:
        self.known[id_] = replace(self.known[id_], status="STOPPED")
        return True

    def forget(self, id_: str) -> None:
        self.forgotten.append(id_)
        self.known.pop(id_, None)

    def _happen(self, id_: str) -> None:
        step = self.steps.pop(0) if self.steps else finish
        step(self, id_)


def finish(jobs: FakeJobs, id_: str, code: int = 0) -> None:
    """The job ends."""
    jobs.logs[id_] += "end\n"
    status = "FAILED" if code else "SUCCEEDED"
    jobs.known[id_] = replace(jobs.known[id_], status=status, exit_code=code)


def go_on(jobs: FakeJobs, id_: str) -> None:
    """Nothing happens."""


def lose(jobs: FakeJobs, id_: str) -> None:
    """The network is cut."""
    raise UnreachableError("cannot reach it")


def restart(jobs: FakeJobs, id_: str) -> None:
    """The head is started anew and knows nothing."""
    jobs.known.clear()
    jobs.logs = dict.fromkeys(jobs.logs, "")


def interrupt(jobs: FakeJobs, id_: str) -> None:
    """Whoever follows presses Ctrl-C."""
    raise KeyboardInterrupt


def answered(text: bytes, code: int = 0, folder: Path | None = None) -> Step:
    """A question ends with this answer."""

    def step(jobs: FakeJobs, id_: str) -> None:
        jobs.logs[id_] += printed(packed(text, folder)) + "\n"
        finish(jobs, id_, code)

    return step


def unreadable(id_: str) -> str:
    """What a head answers that cannot read a log."""
    raise RefusedError(
        "http://head:8265", "Request failed with status code 500: Traceback\nUnicodeDecodeError: x\n."
    )
