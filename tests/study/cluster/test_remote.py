"""A launch on a cluster is begun once, followed through everything, and ends in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from study.cluster import remote
from study.cluster.jobs import RayJob, UnreachableError
from study.errors import PoolError, UserError
from tests.study.cluster.fake import (
    BUNDLE,
    FakeJobs,
    answered,
    go_on,
    interrupt,
    lose,
    restart,
    unreadable,
)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAUSE", "GONE"):
        monkeypatch.setattr(remote, name, 0.0)
    monkeypatch.setattr(remote, "RETURN", 5.0)
    monkeypatch.setattr(remote, "CLEARED", 0.05)


def launch(jobs: FakeJobs, **more: bool) -> tuple[RayJob, str, str]:
    """The job that ended, what was said, and what was shown of its log."""
    said: list[str] = []
    shown: list[str] = []
    faked: Any = jobs
    ended = remote.launch(faked, BUNDLE, said.append, shown.append, **more)
    return ended, "\n".join(said), "".join(shown)


def test_a_launch_is_sent_followed_and_ended() -> None:
    """Its log is shown once and whole, however often the connection ends in between."""
    jobs = FakeJobs(steps=[go_on, go_on])
    ended, said, shown = launch(jobs, until_decided=True)
    assert (ended.exit_code, shown) == (0, "begin 1\nend\n")
    assert said == f"launched tiny on http://head:8265 as {BUNDLE.id}"
    assert jobs.sent == [{"files/spec.yaml"}]
    assert jobs.asked[0].endswith(" study launch files/spec.yaml --until-decided")
    assert "'tiny.yaml --cluster http://head:8265'" in jobs.asked[0]


def test_a_second_client_follows_the_first() -> None:
    """It starts nothing, and says where the launches differ."""
    jobs = FakeJobs()
    launch(jobs)
    jobs.known[BUNDLE.id] = replace(jobs.known[BUNDLE.id], status="RUNNING", exit_code=None)
    ended, said, _ = launch(jobs, until_decided=True)
    assert (ended.exit_code, len(jobs.asked)) == (0, 1)
    assert "is being launched on http://head:8265" in said
    assert "goes on without --until-decided" in said


def test_an_ended_launch_goes_on_without_its_earlier_log() -> None:
    """It is launched again; neither it nor a client that comes later shows what the first one printed."""
    jobs = FakeJobs()
    launch(jobs)
    ended, said, shown = launch(jobs)
    assert (ended.exit_code, shown) == (0, "begin 2\nend\n")
    assert jobs.forgotten == [BUNDLE.id]
    assert "launched tiny" in said
    jobs.known[BUNDLE.id] = replace(jobs.known[BUNDLE.id], status="RUNNING", exit_code=None)
    assert launch(jobs)[2].startswith("begin 2\n")
    assert remote.last(jobs, BUNDLE).begins == len("begin 1\nend\n")  # type: ignore[arg-type]


def test_a_log_that_cannot_be_read_stops_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte that is no UTF-8 breaks the head's answer: the launch ends, and can be launched again."""
    jobs = FakeJobs()
    monkeypatch.setattr(jobs, "text", unreadable)
    assert launch(jobs)[0].exit_code == 0
    ended, said, _ = launch(jobs)
    assert ended.exit_code == 0
    assert (
        f"what {BUNDLE.id} printed cannot be shown (http://head:8265 answered: UnicodeDecodeError: x)" in said
    )


def test_two_clients_at_once_launch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second, after it looked and before it submitted, follows the first."""
    jobs = FakeJobs()
    real = jobs.submit

    def second(*words: Any) -> bool:
        real(*words)
        return real(*words)

    monkeypatch.setattr(jobs, "submit", second)
    ended, said, _ = launch(jobs)
    assert (ended.exit_code, len(jobs.asked)) == (0, 1)
    assert "following it" in said


@pytest.mark.parametrize(
    ("id_", "metadata", "words"),
    [
        (BUNDLE.id, {"spec": "other"}, "a job of that id which is of another spec"),
        (BUNDLE.id, {}, "a job of that id which is of another spec"),
        ("study-tiny-f", {"study": "tiny", "spec": "other"}, r"another spec of that name \(study-tiny-f\)"),
    ],
)
def test_another_spec_of_that_name_is_in_the_way(id_: str, metadata: dict[str, str], words: str) -> None:
    """Refused in one sentence, with nothing sent."""
    jobs = FakeJobs(known={id_: RayJob(id_, "RUNNING", metadata=metadata)})
    with pytest.raises(UserError, match=words) as refused:
        launch(jobs)
    assert jobs.asked == []
    assert "\n" not in str(refused.value)


def test_a_head_that_was_started_anew_gets_the_launch_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it answers before it takes jobs; the new log is shown from its beginning."""
    jobs = FakeJobs(steps=[restart, go_on])
    real, refused = jobs.submit, [UnreachableError("no available agent")] * 3

    def submit(*words: Any) -> bool:
        if jobs.asked and refused:
            raise refused.pop()
        return real(*words)

    monkeypatch.setattr(jobs, "submit", submit)
    ended, said, shown = launch(jobs)
    assert (ended.exit_code, len(jobs.asked)) == (0, 2)
    assert "was started anew and knows nothing of this launch; launching again" in said
    assert shown == "begin 1\nbegin 2\nend\n"


def test_a_cluster_that_is_away_for_a_while() -> None:
    """It is waited for, which is said once; nothing of the log is missed or repeated."""
    jobs = FakeJobs(steps=[lose, lose, go_on, lose])
    ended, said, shown = launch(jobs)
    assert (ended.exit_code, shown) == (0, "begin 1\nend\n")
    assert said.count("lost the cluster") == 2


def test_a_cluster_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time it is given up, with what to do."""
    monkeypatch.setattr(remote, "RETURN", 0.01)
    monkeypatch.setattr(remote, "PAUSE", 0.005)
    with pytest.raises(UnreachableError, match="cannot reach it; launch again to follow it"):
        launch(FakeJobs(steps=[lose] * 1000))


def test_ctrl_c_leaves_the_launch_running() -> None:
    """Nothing is stopped on the cluster."""
    jobs = FakeJobs(steps=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        launch(jobs)
    assert [job.id for job in jobs.running("tiny")] == [BUNDLE.id]


def test_stop_waits_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every launch of the study is stopped, of whichever spec; what runs beside it goes on."""
    jobs: Any = FakeJobs()
    for id_, study in (("study-tiny-a", "tiny"), ("study-tiny-b", "tiny"), ("study-tiny2-c", "tiny2")):
        jobs.known[id_] = RayJob(id_, "RUNNING", metadata={"study": study})
    said: list[str] = []
    assert remote.stop(jobs, "tiny", said.append)
    assert [job.id for job in jobs.known.values() if not job.ended] == ["study-tiny2-c"]
    assert said[-1] == "study-tiny-b has ended; the same launch goes on with what is missing"
    assert not remote.stop(jobs, "tiny", said.append)
    monkeypatch.setattr(remote, "RETURN", 0.0)
    monkeypatch.setattr(jobs, "stop", lambda id_: True)
    with pytest.raises(PoolError, match="study-tiny2-c does not end"):
        remote.stop(jobs, "tiny2", said.append)


def test_the_log_of_a_launch_that_nobody_knows() -> None:
    """It is said, with the reason that is likely."""
    faked: Any = FakeJobs()
    with pytest.raises(UserError, match="knows no launch of tiny with this spec"):
        remote.last(faked, BUNDLE)


def ask(jobs: FakeJobs) -> tuple[str, int]:
    faked: Any = jobs
    found, code = remote.ask(faked, BUNDLE, "status", "--json")
    return found.text, code


def test_a_question_is_answered_and_forgotten() -> None:
    """Text and exit code come back; an incomplete study is an answer. Nothing stays on the cluster."""
    jobs = FakeJobs(steps=[go_on, answered(b"4 cells", 3)])
    assert ask(jobs) == ("4 cells", 3)
    assert jobs.asked[0].endswith(" python -m study.cluster.answer status files/spec.yaml --json")
    assert (jobs.known, len(jobs.forgotten)) == ({}, 1)


@pytest.mark.parametrize(("code", "kind"), [(2, UserError), (1, PoolError), (127, PoolError)])
def test_a_question_that_fails_says_why(code: int, kind: type[Exception]) -> None:
    """The head's own error, as an error of the same kind."""

    def fail(jobs: FakeJobs, id_: str) -> None:
        jobs.logs[id_] += "error the home is gone\n"
        answered(b"", code)(jobs, id_)

    with pytest.raises(kind, match=r"^http://head:8265: the home is gone$"):
        ask(FakeJobs(steps=[fail]))


def test_a_question_without_an_answer() -> None:
    """The last line of the log is all that is known."""
    with pytest.raises(PoolError, match="gave no answer: end"):
        ask(FakeJobs())
    with pytest.raises(PoolError, match="started anew before it answered"):
        ask(FakeJobs(steps=[restart]))


def test_a_question_that_is_interrupted_leaves_nothing() -> None:
    """Ctrl-C stops it there and removes it."""
    jobs = FakeJobs(steps=[go_on, interrupt])
    with pytest.raises(KeyboardInterrupt):
        ask(jobs)
    assert jobs.known == {}


def test_a_lost_cluster_does_not_hide_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be removed afterwards stays."""
    jobs = FakeJobs(steps=[answered(b"4 cells")])
    monkeypatch.setattr(jobs, "forget", lambda id_: lose(jobs, id_))
    assert ask(jobs) == ("4 cells", 0)
