"""A study's launch on a cluster: begun or found running, followed, stopped; and questions to its home."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from study.cluster.answer import BEGIN, FILES, Answer, found_in, unpacked
from study.cluster.bundle import Bundle
from study.cluster.jobs import BEGINS, Jobs, RayJob, RefusedError, UnreachableError
from study.errors import PoolError, UserError

Say = Callable[[str], None]
RETURN = 600.0
"""How long a cluster may be unreachable before whoever follows a launch gives up [s]."""
PAUSE = 2.0
"""Between two looks at a job [s]."""
GONE = 3.0
"""How long the process that ran a job outlives it [s]. A new job of that id would die with it."""
CLEARED = 5.0
"""How long a question that was interrupted may take to end [s]."""
UNTIL_DECIDED = "until_decided"
WRONG = 2
ANSWERED = (0, 3)
"""Exit codes of verbs that say something of a study, complete or not."""


def launch(jobs: Jobs, bundle: Bundle, say: Say, show: Say, *, until_decided: bool = False) -> RayJob:
    """Launch a study on a cluster, or follow the launch that runs, until it ends.

    A launch that ended goes on with what is missing. One that its head forgot, because that was started anew,
    is launched again.

    Args:
        say: told what happens to the launch.
        show: told what the launch prints, in pieces.

    Raises:
        UserError: the id, or the study, is in use by another spec.
        PoolError: the cluster cannot be reached, or refuses.
    """
    shown = begin(jobs, bundle, say, until_decided=until_decided)
    patience = _Patience(say)
    while (ended := follow(jobs, bundle.id, say, show, shown)) is None:
        say(f"the head of {jobs.address} was started anew and knows nothing of this launch; launching again")
        while True:
            try:
                shown = begin(jobs, bundle, say, until_decided=until_decided)
                break
            # It answers, and is not yet ready for jobs; or it stopped again.
            except UnreachableError as error:
                patience.wait(error)
        patience.reset()
    return ended


class _Patience:
    """Waits for a cluster that is unreachable, and not for ever.

    Args:
        say: called once for each time that it is unreachable.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._since: float | None = None

    def wait(self, error: UnreachableError) -> None:
        """Wait a moment.

        Raises:
            UnreachableError: it was unreachable for too long.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._say(f"lost the cluster; what it trains may go on; trying again for {RETURN / 60:g} minutes")
        if now - self._since > RETURN:
            raise UnreachableError(f"{error}; launch again to follow it") from None
        time.sleep(PAUSE)

    def reset(self) -> None:
        """It is back."""
        self._since = None


def begin(jobs: Jobs, bundle: Bundle, say: Say, *, until_decided: bool) -> int:
    """Have a launch of this study run on the cluster: the one that runs, or a new one.

    Returns:
        Where in the log of its id it begins.

    Raises:
        UserError, PoolError: as `launch`.
    """
    options = ("--until-decided",) if until_decided else ()
    metadata = {"study": bundle.study, "spec": bundle.digest, UNTIL_DECIDED: "yes" if until_decided else "no"}
    for other in jobs.running(bundle.study):
        if other.id != bundle.id:
            raise UserError(
                f"{bundle.study}: {jobs.address} runs a launch of another spec of that name ({other.id}); "
                "wait for it, stop it with `study stop` and that spec, or give this spec another name"
            )
    found = jobs.find(bundle.id)
    if found is not None and found.metadata.get("spec") != bundle.digest:
        raise UserError(
            f"{bundle.id}: {jobs.address} has a job of that id which is of another spec; give this spec "
            "another name"
        )
    begins = 0
    if found is not None and found.ended:
        begins = len(_text(jobs, bundle.id, say))
        time.sleep(GONE)
        jobs.forget(bundle.id)
        found = None
    if found is None:
        metadata[BEGINS] = str(begins)
        with tempfile.TemporaryDirectory(prefix="stability-study-") as scratch:
            bundle.write(Path(scratch))
            command = bundle.command("study", "launch", address=jobs.address, options=options)
            new = jobs.submit(bundle.id, command, Path(scratch), metadata)
        if new:
            say(f"launched {bundle.study} on {jobs.address} as {bundle.id}")
            return begins
        # Somebody launched the same in this moment.
        found = jobs.find(bundle.id)
    say(f"{bundle.study} is being launched on {jobs.address} as {bundle.id}; following it")
    if found is not None and found.metadata.get(UNTIL_DECIDED) != metadata[UNTIL_DECIDED]:
        how = "without" if until_decided else "with"
        say(f"that launch goes on {how} --until-decided; launch again when it has ended")
    return found.begins if found is not None else 0


def follow(jobs: Jobs, id_: str, say: Say, show: Say, shown: int = 0) -> RayJob | None:
    """Show what a job prints until it ends; None where the cluster knows no such job any more.

    Args:
        shown: characters of its log that are known already.

    Raises:
        PoolError: the cluster was unreachable for too long.
    """
    patience = _Patience(say)
    while True:
        try:
            for piece in jobs.follow(id_, skip=shown):
                shown += len(piece)
                show(piece)
            job = jobs.find(id_)
            if job is None:
                return None
            if job.ended:
                # Its last lines may have come after the connection ended.
                if rest := _text(jobs, id_, say)[shown:]:
                    show(rest)
                return job
            patience.reset()
        except UnreachableError as error:
            patience.wait(error)
            continue
        time.sleep(PAUSE)


def _text(jobs: Jobs, id_: str, say: Say) -> str:
    """All that a job printed; nothing where the head cannot read it, as after a byte that is no UTF-8."""
    try:
        return jobs.text(id_)
    except RefusedError as error:
        say(f"what {id_} printed cannot be shown ({error})")
        return ""


def stop(jobs: Jobs, study: str, say: Say) -> bool:
    """Stop every launch of a study, and wait until it has ended; False where none runs.

    Raises:
        PoolError: it does not end.
    """
    running = jobs.running(study)
    for job in running:
        jobs.stop(job.id)
        say(f"stopping {job.id}: what finished is kept")
    deadline = time.monotonic() + RETURN
    for job in running:
        while (found := jobs.find(job.id)) is not None and not found.ended:
            if time.monotonic() > deadline:
                raise PoolError(f"{job.id} does not end; its head's log says why")
            time.sleep(PAUSE)
        say(f"{job.id} has ended; the same launch goes on with what is missing")
    return bool(running)


def last(jobs: Jobs, bundle: Bundle) -> RayJob:
    """The launch of a study that runs, or the last one of this spec.

    Raises:
        UserError: the cluster knows none.
    """
    running = jobs.running(bundle.study)
    found = running[0] if running else jobs.find(bundle.id)
    if found is None:
        raise UserError(
            f"{jobs.address} knows no launch of {bundle.study} with this spec (a head that was started anew "
            "knows none); launch it with --cluster"
        )
    return found


def ask(jobs: Jobs, bundle: Bundle, verb: str, *options: str, files: bool = False) -> tuple[Answer, int]:
    """Run a verb of `study` about this study on the head: its answer and exit code.

    Args:
        files: the verb writes files to `--out`, which come back.

    Raises:
        UserError: the verb found something wrong with what it was asked.
        PoolError: the head gave no answer.
    """
    program = ("python", "-m", "study.cluster.answer", *([FILES] if files else []), verb)
    command = bundle.command(*program, address=jobs.address, options=options)
    id_ = f"study-{verb}-{bundle.study}-{secrets.token_hex(6)}"
    with tempfile.TemporaryDirectory(prefix="stability-study-") as scratch, _forgotten(jobs, id_):
        bundle.write(Path(scratch))
        jobs.submit(id_, command, Path(scratch), {"question": verb})
        # Not followed: its log is the answer, which is read once, when it is whole.
        while (job := jobs.find(id_)) is not None and not job.ended:
            time.sleep(PAUSE / 4)
        if job is None:
            raise PoolError(f"{jobs.address} was started anew before it answered; ask again")
        log, code = jobs.text(id_), job.exit_code
        if code not in ANSWERED:
            said = log.partition(BEGIN)[0].partition("\nerror ")[2].strip() or job.message.strip()
            raise (UserError if code == WRONG else PoolError)(f"{jobs.address}: {said[:2000]}")
        return unpacked(found_in(log)), code or 0


@contextmanager
def _forgotten(jobs: Jobs, id_: str) -> Iterator[None]:
    """Leave nothing of a question on the cluster, also where whoever asked is interrupted."""
    try:
        yield
    finally:
        # A cluster that is lost meanwhile must not hide the answer, or what went wrong before.
        with suppress(PoolError, UserError):
            job = jobs.find(id_)
            if job is not None and not job.ended:
                jobs.stop(id_)
                deadline = time.monotonic() + CLEARED
                while job is not None and not job.ended and time.monotonic() < deadline:
                    time.sleep(PAUSE / 4)
                    job = jobs.find(id_)
            if job is not None:
                jobs.forget(id_)
