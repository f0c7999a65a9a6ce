"""Says where a server is as soon as it answers, beside the process that becomes it: standard library alone.

`mlflow_ui` starts this file by its path, without the packages of this project: importing them would take
longer than the server takes to answer.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import webbrowser
from typing import Any

PAUSE, LONGEST = 0.2, 600.0
"""Between two questions, and for how long there are any [s]."""


def main() -> None:
    """Read from standard input what to wait for and what to say then, and go on in the background."""
    told = json.load(sys.stdin)
    # Whoever started this goes on at once, and is nobody's parent: it becomes a server that waits for none.
    if os.fork():
        os._exit(0)
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline and lives(told["pid"]):
        if answers(told["host"], told["port"]):
            say(told)
            return
        time.sleep(PAUSE)


def lives(pid: int) -> bool:
    """Whether the server's process is there."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def answers(host: str, port: int) -> bool:
    """Whether a server there says that it is well."""
    asked = http.client.HTTPConnection(host, port, timeout=5)
    try:
        asked.request("GET", "/health")
        return asked.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def say(told: dict[str, Any]) -> None:
    """Print the lines, and open the page that was asked for."""
    print("\n".join(told["lines"]), flush=True)
    if told["open"] and not webbrowser.open(told["open"]):
        print(f"no browser was found here; open {told['open']}", flush=True)


if __name__ == "__main__":
    main()
