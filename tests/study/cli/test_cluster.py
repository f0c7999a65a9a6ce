"""`--cluster` on the command line: what it goes with, what is printed, and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from study.cli import cluster
from study.cluster import remote
from study.cluster.jobs import RayJob
from tests.command import answer, study
from tests.study.cluster.fake import FakeJobs, Step, answered, finish, go_on, interrupt

HEAD = "http://head:8265"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> FakeJobs:
    """A cluster that every command reaches."""
    found = FakeJobs()
    monkeypatch.setattr(cluster, "reached", lambda address: found)
    for name in ("PAUSE", "GONE", "CLEARED"):
        monkeypatch.setattr(remote, name, 0.0)
    return found


@pytest.mark.parametrize(
    "words",
    [
        *(("launch", "--here"), ("launch", "--address", "auto"), ("launch", "--home", "h")),
        *(("launch", "--tracking-uri", "http://m"), ("status", "--home", "h"), ("export", "--home", "h")),
    ],
)
def test_options_that_a_head_does_not_take(
    words: tuple[str, ...], tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused with exit 2, whoever named the cluster."""
    verb, *options = words
    out = ["--out", "o"] if verb == "export" else []
    assert study(verb, str(tiny), *options, *out, "--cluster", HEAD) == 2
    assert f"error found {options[0]} together with --cluster, whose head" in capsys.readouterr().err
    monkeypatch.setenv("STABILITY_STUDY_CLUSTER", HEAD)
    assert study(verb, str(tiny), *options, *out) == 2
    assert "--cluster (named by STABILITY_STUDY_CLUSTER), whose head" in capsys.readouterr().err


def test_the_environment_is_for_this_machine(
    jobs: FakeJobs, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home, an address or a tracker that it names is not the cluster's, and does not travel."""
    for name in ("STABILITY_STUDY_HOME", "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "http://u:s3cr3t@x:1")
    assert study("launch", str(tiny), "--cluster", HEAD) == 0
    assert "s3cr3t" not in f"{jobs.asked}{jobs.known}"


@pytest.mark.parametrize("verb", ["stop", "logs"])
def test_verbs_that_need_a_cluster(verb: str, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one they say what for."""
    assert study(verb, str(tiny)) == 2
    assert f"study {verb} is for launches on a cluster; name it with --cluster" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_a_launch_ends_as_it_ended_there(
    code: int, jobs: FakeJobs, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its exit code, its log, and how to get its files; codes for a terminal are shown, not obeyed."""

    def print_and_end(jobs: FakeJobs, id_: str) -> None:
        jobs.logs[id_] += "evil \x1b[2J\r\tü\n"
        finish(jobs, id_, code)

    jobs.steps = [print_and_end]
    assert study("launch", str(tiny), "--cluster", HEAD) == code
    said = capsys.readouterr().out
    assert "evil \\x1b[2J\\r\tü\n" in said
    assert f"study export {tiny} --cluster {HEAD} --out FOLDER" in said


@pytest.mark.parametrize(
    ("job", "code", "words"),
    [
        (RayJob("a", "STOPPED"), 3, ""),
        (
            RayJob("a", "FAILED", "out of memory\x1b[2J\nthere"),
            1,
            r"by its cluster (out of memory\x1b[2J there)",
        ),
        (
            RayJob("a", "FAILED", "killed", exit_code=137),
            1,
            "was ended by its cluster (killed); what finished is",
        ),
        (RayJob("a", "FAILED", "", exit_code=127), 1, "the head has no command `study`"),
    ],
)
def test_a_launch_that_did_not_end_by_itself(
    job: RayJob, code: int, words: str, jobs: FakeJobs, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stopped one is incomplete. One that the cluster ended is an error, with what to do."""

    def end(jobs: FakeJobs, id_: str) -> None:
        jobs.known[id_] = replace(job, id=id_, metadata=jobs.known[id_].metadata)

    jobs.steps = [end]
    assert study("launch", str(tiny), "--cluster", HEAD) == code
    assert words in capsys.readouterr().err


def test_ctrl_c_says_how_to_come_back(jobs: FakeJobs, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 130; the launch goes on, and both commands can be pasted."""
    jobs.steps = [interrupt]
    words = ("launch", str(tiny), "--cluster", HEAD, "--until-decided", "--allow", "own")
    assert study(*words) == 130
    said = capsys.readouterr().out
    assert (
        f"goes on; follow it again with: study launch {tiny} --cluster {HEAD} --allow own --until-decided"
        in (said.replace("python -m study.cli", "study").replace("./study", "study"))
    )
    assert f"stop {tiny} --cluster {HEAD} --allow own" in said
    assert len(jobs.running("tiny")) == 1


def test_launch_and_status_in_json(jobs: FakeJobs, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document each; the log of the launch is beside it."""
    status = answered(b'{"study": "tiny", "pending": 1}', 3)
    jobs.steps = [lambda jobs, id_: finish(jobs, id_, 3), status]
    code, found = answer(capsys, "launch", str(tiny), "--cluster", HEAD)
    assert isinstance(found, dict)
    assert (code, found["exit_code"], found["cluster"]) == (3, 3, HEAD)
    assert found["status"] == {"study": "tiny", "pending": 1}
    launched = next(iter(jobs.known.values()))
    jobs.known[launched.id] = replace(launched, status="RUNNING")
    jobs.steps = [status]
    code, found = answer(capsys, "status", str(tiny), "--cluster", HEAD)
    assert (code, found) == (3, {"study": "tiny", "pending": 1, "launches": [launched.id]})


@pytest.mark.parametrize("text", [b"", b"words", b"[]"])
def test_an_answer_that_is_no_json(
    text: bytes, jobs: FakeJobs, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error, and no traceback."""
    jobs.steps = [answered(text)]
    assert study("status", str(tiny), "--cluster", HEAD, "--json") == 1
    assert "the head's answer is no JSON" in json.loads(capsys.readouterr().out)["error"]["message"]


def export_of(text: bytes, folder: Path) -> Step:
    folder.mkdir()
    (folder / "cells.csv").write_bytes(text)
    return answered(b"[]", 0, folder)


def test_an_export_comes_here(
    jobs: FakeJobs, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files are written to `--out`, and that of another study is not replaced."""
    out = tmp_path / "out"
    jobs.steps = [export_of(b"key\n", tmp_path / "there")]
    assert study("export", str(tiny), "--cluster", HEAD, "--out", str(out)) == 0
    assert capsys.readouterr().out == f"{out / 'cells.csv'}\n"
    assert (out / "cells.csv").read_bytes() == b"key\n"
    assert study("export", str(tiny), "--cluster", HEAD, "--out", str(out)) == 2
    assert "of an unknown study" in capsys.readouterr().err
    assert study("export", str(tiny), "--cluster", HEAD, "--out", str(tiny)) == 2


def test_stop_and_logs(jobs: FakeJobs, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`logs` prints the last launch alone, also while it runs; `stop` ends it, once."""
    assert study("logs", str(tiny), "--cluster", HEAD) == 2
    assert study("launch", str(tiny), "--cluster", HEAD) == 0
    jobs.steps = [interrupt]
    assert study("launch", str(tiny), "--cluster", HEAD) == 130
    capsys.readouterr()
    assert study("logs", str(tiny), "--cluster", HEAD) == 0
    assert capsys.readouterr().out == "begin 2\n"
    jobs.steps = [go_on]
    assert study("logs", str(tiny), "--cluster", HEAD, "--follow") == 0
    assert capsys.readouterr().out == "begin 2\nend\n"
    (launched,) = jobs.known.values()
    jobs.known[launched.id] = replace(launched, status="RUNNING")
    assert study("stop", str(tiny), "--cluster", HEAD) == 0
    assert f"stopping {launched.id}: what finished is kept" in capsys.readouterr().out
    assert study("stop", str(tiny), "--cluster", HEAD) == 0
    assert capsys.readouterr().out == f"{HEAD} runs no launch of tiny\n"
