"""The pages that `study ui` serves beside MLflow: they follow the ledger, and answer to given names alone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from study.home import Home
from study.plan.cells import make_plan
from study.run.live_pages import AGE_PER_MAKING, EVERY, Pages, Server, listening, start
from study.spec.read import read_spec
from tests.command import study
from tests.fabricated import WIDE, fabricate, hill


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    at: float = 0.0
    asked: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        self.asked.append(self.at)
        return self.at


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec of 162 cells, of which the first seed is stored in `home`, and which was launched from there."""
    path = tmp_path / "tiny.yaml"
    path.write_text(WIDE)
    fabricate(path, tmp_path / "home", hill, skip=lambda cell: cell.seed > 0)
    with closing(Home(tmp_path / "home").open_ledger()) as ledger:
        told = read_spec(str(path))
        meanings = make_plan(told, ledger.fingerprints("tiny")).meanings
        ledger.note_study("tiny", told.remembered(), meanings)
    return path


@pytest.fixture
def server(spec: Path, tmp_path: Path) -> Iterator[Server]:
    """Pages of that home on a port of loopback."""
    found = Server(Home(tmp_path / "home"), "127.0.0.1", 0, ["127.0.0.1", "[::1]", "a.test"])
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def asked(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, str | None, str]:
    """Status, seconds until the page reloads itself, and text of an answer."""
    link = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    try:
        link.request(method, path, headers=headers)
        answer = link.getresponse()
        return answer.status, answer.headers["Refresh"], answer.read().decode()
    finally:
        link.close()


def test_a_page_reloads_itself_until_no_cell_is_missing(spec: Path, tmp_path: Path, server: Server) -> None:
    """It says so, can be kept as it is, and shows the cells that were stored meanwhile."""
    status, again, text = asked(server, "/tiny")
    assert (status, again) == (200, str(EVERY))
    assert "reloads itself every" in text
    assert "<h1>tiny</h1>" in text
    assert asked(server, "/tiny?still")[:2] == (200, None)
    fabricate(spec, tmp_path / "home", hill)
    server.pages.now = lambda: float("inf")
    status, again, text = asked(server, "/tiny")
    assert (status, again) == (200, None)
    assert "reloads itself every" not in text
    assert 'href="/tiny"' in asked(server, "/")[2]


def test_a_page_is_made_once_per_state_and_not_too_often(spec: Path, tmp_path: Path) -> None:
    """Whoever trains keeps the cores: what took long to make is shown for longer."""
    clock = Clock()
    pages = Pages(Home(tmp_path / "home"), clock)
    first = pages.page("tiny")
    assert first is not None
    first.took = 5.0
    fabricate(spec, tmp_path / "home", hill)
    clock.at = AGE_PER_MAKING * 5.0 - 0.1
    assert pages.page("tiny") is first
    clock.at = AGE_PER_MAKING * 5.0
    second = pages.page("tiny")
    assert second is not None
    assert (second is first, second.complete) == (False, True)
    clock.at *= 100
    assert pages.page("tiny") is second
    assert pages.page("other") is None


def test_only_given_names_and_reading_are_answered(server: Server) -> None:
    """A page of the web that leads its own name here is refused, as is everything that is no question."""
    for host in ("a.test", "a.test:81", "127.0.0.1:5001", "[::1]", "[::1]:80"):
        assert asked(server, "/", Host=host)[0] == 200, host
    for host in ("evil.test", "a.test.evil.test", "a.test:evil", ""):
        assert asked(server, "/tiny", Host=host)[0] == 403, host
    for method in ("POST", "PUT", "DELETE"):
        assert asked(server, "/tiny", method)[0] == 501
    for path in ("/other", "/../home", "/tiny/../../etc/passwd", "/%3Cscript%3E"):
        status, _, text = asked(server, path)
        assert (status, text) == (404, "no study of that name is stored here\n"), path


def test_a_study_with_claims_of_its_own_is_shown(
    spec: Path,
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its page, and the verbs that take its name, have all but what code that a home names would say."""
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nWIDER = None\n")
    monkeypatch.chdir(tmp_path)
    spec.write_text(WIDE + "claims: ['mine:WIDER', 'os:system']\n")
    told, home = read_spec(str(spec)), tmp_path / "home"
    with closing(Home(home).open_ledger()) as ledger:
        ledger.note_study("tiny", told.remembered(), make_plan(told, ledger.fingerprints("tiny")).meanings)
    spec.rename(tmp_path / "elsewhere.yaml")
    status, again, text = asked(server, "/tiny")
    assert (status, again) == (200, str(EVERY))
    for words in ("mine:WIDER", "os:system", "code that a home names is not run", "autoscale"):
        assert words in text, words
    capsys.readouterr()
    for verb, more in (("analyse", ()), ("export", ("--out", str(tmp_path / "out")))):
        assert study(verb, "tiny", *more, "--home", str(home)) == 3
    assert "mine:WIDER, os:system: code that a home names is not run" in capsys.readouterr().out
    assert "not run" in (tmp_path / "out" / "claims.md").read_text()
    assert not (tmp_path / "ran").exists()


def test_a_home_without_studies_has_an_empty_list(tmp_path: Path) -> None:
    """Nothing is made in it."""
    pages = Pages(Home(tmp_path / "none"))
    assert (pages.names(), pages.page("tiny")) == ([], None)
    assert not (tmp_path / "none").exists()


def test_pages_that_cannot_be_served_are_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Their process ends, says why on standard error, and whoever started it goes on."""
    assert start(Home(tmp_path / "home"), "256.1.1.1", 5001, ["a.test"]) is None
    assert "Name or service" in capfd.readouterr().err


def test_a_port_above_the_last_one_is_any_free_one(tmp_path: Path) -> None:
    """MLflow at port 65535 leaves none beside it, and its pages are served all the same."""
    with listening(Home(tmp_path / "home"), "127.0.0.1", 65536, ["127.0.0.1"]) as found:
        assert 0 < found.server_address[1] < 65536
