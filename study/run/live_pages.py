"""The pages of a home's studies as they are now, beside the MLflow UI: made anew when a cell is stored."""

from __future__ import annotations

import html
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from study.errors import UserError
from study.home import Home
from study.spec.read import parse_stored
from tracking import Ledger, LedgerError

EVERY = 10
"""Seconds after which a browser asks again while cells are missing."""

AGE_PER_MAKING = 4.0
"""A page is as old as so many times what making it took before it is made again, which workers are spared."""

PORT = re.compile(r":\d+$")

MOST_REQUEST = 30.0
"""Seconds after which a connection that says nothing is closed."""


@dataclass
class Page:
    """The page of one study, kept until a further cell is stored.

    Attributes:
        complete: whether no cell is missing.
        state: what of the ledger the page was made from.
    """

    html: str
    complete: bool
    state: object
    made: float
    took: float


@dataclass
class Pages:
    """The pages of a home. Making one reads the ledger, and writes nothing."""

    home: Home
    now: Callable[[], float] = time.monotonic
    _kept: dict[str, Page] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def names(self) -> list[str]:
        """The studies of the home."""
        if not self.home.ledger.exists():
            return []
        with closing(Ledger(self.home.ledger, create=False)) as ledger:
            return sorted(ledger.studies())

    def page(self, name: str) -> Page | None:
        """The page of a study as it is now; None where the home has none of that name."""
        # One at a time: two would need twice the memory, and take the cores from whoever trains.
        with self._lock:
            if name not in self.names():
                return None
            kept, now = self._kept.get(name), self.now()
            if kept and now - kept.made < AGE_PER_MAKING * kept.took:
                return kept
            state = self._state(name)
            if kept is None or kept.state != state:
                self._kept[name] = self._made(name, state)
            return self._kept[name]

    def _state(self, name: str) -> object:
        with closing(Ledger(self.home.ledger, create=False)) as ledger:
            outcomes = ledger.outcomes(ledger.meanings(name))
            return ledger.studies()[name], tuple(sorted(outcomes.items())), tuple(ledger.looks(name))

    def _made(self, name: str, state: object) -> Page:
        # Here, because they load numpy, scipy and the templates, which the start need not wait for.
        from study.report.export import provenance
        from study.report.page.report_page import report_page
        from study.report.plain.regions import regions
        from study.stored import read

        began = self.now()
        with closing(Ledger(self.home.ledger, create=False)) as ledger:
            spec = parse_stored(ledger.studies()[name], name)
        analysis = read(spec, self.home)
        reloads = 0 if analysis.complete else EVERY
        text = report_page(analysis, list(regions(analysis)), provenance(analysis), reloads=reloads)
        return Page(text, analysis.complete, state, self.now(), self.now() - began)


class Answers(BaseHTTPRequestHandler):
    """Answers to browsers: the list of studies, and the page of each. It reads alone."""

    server: Server
    timeout = MOST_REQUEST

    def do_GET(self) -> None:
        """Send a page."""
        if PORT.sub("", self.headers.get("Host", "")) not in self.server.hosts:
            # Any page of the web could have its own name lead here, and read what is answered.
            self._send(HTTPStatus.FORBIDDEN, "this name is not answered; give it with --name\n")
            return
        asked = urlsplit(self.path)
        name = unquote(asked.path).strip("/")
        try:
            if not name:
                self._send(HTTPStatus.OK, self._list(), kind="text/html")
                return
            found = self.server.pages.page(name)
        except (LedgerError, UserError) as error:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n", again=EVERY)
            return
        if found is None:
            self._send(HTTPStatus.NOT_FOUND, "no study of that name is stored here\n")
            return
        again = 0 if found.complete or asked.query == "still" else EVERY
        self._send(HTTPStatus.OK, found.html, kind="text/html", again=again)

    def _list(self) -> str:
        lines = "".join(
            f'<li><a href="/{quote(name)}">{html.escape(name)}</a> '
            f'(<a href="/{quote(name)}?still">without reloading</a>)</li>'
            for name in self.server.pages.names()
        )
        return f'<!doctype html><html lang="en"><title>Studies</title><h1>Studies</h1><ul>{lines}</ul></html>'

    def _send(self, status: HTTPStatus, text: str, *, kind: str = "text/plain", again: int = 0) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if again:
            self.send_header("Refresh", str(again))
        self.end_headers()
        with suppress(ConnectionError):  # the browser went on to another page
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A line per request would bury what `study ui` says."""


class Server(ThreadingHTTPServer):
    """Listens on one interface.

    Args:
        hosts: the names that requests may have in `Host:`.

    Raises:
        OSError: it cannot be listened on.
    """

    daemon_threads = True

    def __init__(self, home: Home, host: str, port: int, hosts: Sequence[str]) -> None:
        self.pages, self.hosts = Pages(home), frozenset(hosts)
        own = host.strip("[]")
        self.address_family = socket.AF_INET6 if ":" in own else socket.AF_INET
        super().__init__((own, port), Answers)


def start(home: Home, host: str, port: int, hosts: Sequence[str]) -> int | None:
    """Serve the pages from a process that ends with this one.

    Args:
        port: where to listen if it is free; else any free port is taken.

    Returns:
        The port that they are at; None where the process ended at once, and said why on standard error.
    """
    line = [sys.executable, "-P", "-m", "study.run.live_pages", str(home.root.resolve()), host, str(port)]
    # `-P`: a file called `statistics.py` in the current folder would else replace Python's.
    source = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    # The process prints its port to standard output, and closes it.
    began = subprocess.Popen(
        [*line, *hosts],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert began.stdout is not None
    with began.stdout:
        said = began.stdout.readline()
    if said.strip().isdigit():
        return int(said)
    began.terminate()
    began.wait()
    return None


def listening(home: Home, host: str, port: int, hosts: Sequence[str]) -> Server:
    """A server at a port, or at any free one where it is taken or above the last one that there is."""
    try:
        return Server(home, host, port, hosts)
    except (OSError, OverflowError):
        return Server(home, host, 0, hosts)


def main(arguments: Sequence[str]) -> None:
    """Serve until the parent process ends."""
    root, host, port, *hosts = arguments
    parent = os.getppid()
    server = listening(Home(Path(root)), host, int(port), hosts)
    print(server.server_address[1], flush=True)
    os.close(sys.stdout.fileno())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The parent becomes MLflow's server, which knows nothing of this process.
    with suppress(KeyboardInterrupt):
        while os.getppid() == parent:
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1:])
