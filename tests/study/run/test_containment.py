"""A user's own code that ends Python, forks or prints without end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from study.run.containment import HOUSE
from tests.tools.faults import own_code

ROOT = Path(__file__).parents[3]
OWN = """
import multiprocessing, os, sys, threading, time

def leave(): sys.exit(0)

def die(): os._exit(0)

def die_and_go_on():
    try:
        os._exit(0)
    except BaseException:
        return "went on"

def die_in_a_thread():
    threading.Thread(target=die).start()
    while True:
        time.sleep(0.01)

def swallow():
    threading.Timer(0.3, die).start()
    for _ in range(2):
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            print("swallowed")

def hang():
    threading.Timer(0.5, die).start()
    time.sleep(600)

def double(): return "parent" if os.fork() else "child"

def double_and_fail():
    if os.fork() == 0:
        raise KeyError
    return "parent"

def end_a_child():
    child = os.fork()
    if child == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def spread():
    process = multiprocessing.get_context("fork").Process(target=os.getpid)
    process.start()
    process.join(30)
    return process.exitcode
"""
CALLS = f"""
import sys
import own
from study.run import containment
from study.run.containment import contained

containment.THREAD_SECONDS = 3

# A frame that counts as this program's own, which calls the user's function.
exec(compile("def call(function): return function()", {HOUSE[0] + "caller.py"!r}, "exec"))
for name in sys.argv[1:]:
    try:
        with contained():
            print(name, "gave", call(getattr(own, name)), flush=True)
    except RuntimeError as error:
        print(name, type(error).__name__, error, flush=True)
print("end", flush=True)
"""


def said(folder: Path, *names: str) -> list[str]:
    """What a process says that calls these functions of a user, each in a block of its own."""
    (folder / "own.py").write_text(OWN)
    command = [sys.executable, "-c", CALLS, *names]
    environment = {"PYTHONPATH": f"{ROOT}:{folder}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_code_that_ends_python_is_an_error(tmp_path: Path) -> None:
    """`sys.exit` and `os._exit` end no process: they are errors with their place, even where caught."""
    leave, die, went_on, again, ended, _ = said(tmp_path, "leave", "die", "die_and_go_on", "end_a_child")
    assert leave.startswith(
        "leave EndedPythonError the study's own code ended Python, SystemExit: 0 (own.py, "
    )
    assert "SystemExit: os._exit(0) (own.py, line 6)" in die
    assert went_on == "die_and_go_on gave went on"
    assert again.startswith("die_and_go_on EndedPythonError")
    assert ended == "end_a_child gave 7"


def test_a_thread_that_ends_python_is_an_error(tmp_path: Path) -> None:
    """`os._exit` in a thread fails the tile that started it, even one that catches it, and nothing later."""
    lines = said(tmp_path, "die_in_a_thread", "swallow", "spread", "double")
    assert "EndedPythonError the study's own code ended Python, SystemExit: os._exit(0) (own.py, " in lines[0]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["swallowed"],
        ["swallowed"],
        ["swallow", "gave"],
        ["swallow", "EndedPythonError"],
        ["spread", "gave"],
        ["double", "gave"],
        ["double", "CameBackError"],
        ["end"],
    ]


def test_a_thread_that_ends_a_hanging_process_says_so(tmp_path: Path) -> None:
    """A tile that hangs outside of Python is ended with its process, in words that go past its log."""
    (tmp_path / "own.py").write_text(OWN)
    code = CALLS.replace("with contained()", "with captured(Path('log')), contained()")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from study.run.tile_log import captured\n{code}",
            "hang",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "the study's own code ended Python, SystemExit: os._exit(0) (own.py, line 6)" in done.stderr
    assert done.stderr.splitlines()[1:] == ["its tile could not be ended otherwise, and this process ends"]


def test_a_child_process_never_comes_back(tmp_path: Path) -> None:
    """A forked child ends where it would return, and the parent gets an error; other children work."""
    lines = said(tmp_path, "double", "double_and_fail", "end_a_child", "spread")
    assert [line for line in lines if "child" in line.split()[1:]] == [
        line for line in lines if "CameBackError" in line
    ]
    assert [line.split()[:2] for line in lines] == [
        ["double", "gave"],
        ["double", "CameBackError"],
        ["double_and_fail", "gave"],
        ["double_and_fail", "CameBackError"],
        ["end_a_child", "gave"],
        ["spread", "gave"],
        ["end"],
    ]
    assert [line.split()[-1] for line in lines if "gave" in line] == ["parent", "parent", "7", "0"]


def test_tiles_of_such_code_fail_with_their_reasons(tmp_path: Path) -> None:
    """`sys.exit`, `os._exit`, a fork and an error fail their tiles alone; 60 MB of prints stay in a log."""
    own_code.prepared(tmp_path)
    code, out, err, alive = own_code.launched(tmp_path, "--here")
    assert own_code.problems(tmp_path, code, out, err) == []
    assert alive == []
