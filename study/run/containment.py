"""A user's own code, run so that it can neither end this process nor go on as a second one."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from study.run.tile_log import say_past_logs
from study.spec.user_code import error_line
from study.spec.user_source import ROOMS

HOUSE = tuple(f"{Path(__file__).absolute().parents[2] / room}{os.sep}" for room in ROOMS)
"""Where the files of this program lie."""
END_THEMSELVES = ("multiprocessing.popen_fork", "subprocess")
"""Modules of Python whose children end by themselves: workers of a data loader, and other programs."""
ENDED_BY = ("click", "typer", "ray")
"""Packages that end a process on purpose: a command's own exit, and Ray's stop of a worker."""
CHILD_SECONDS = 0.25
"""How long a tile waits at its end for a child that may still come back [s]."""
THREAD_SECONDS = 10.0
"""How long a thread that ended Python waits for its tile to end [s]; it may hang, and be ended for it."""
_real_exit = os._exit
_blocks: dict[int, _Block] = {}
"""The innermost block of each thread."""
_interrupting = threading.Lock()
"""Held while a block is interrupted or closed, so that no interruption comes after its block."""


class EndedPythonError(RuntimeError):
    """A user's code would have ended this process; the message says where."""


class CameBackError(RuntimeError):
    """A child process that a user's code forked went on with this program's work."""


class _Interrupted(SystemExit):
    """Raised in the thread of a block in which another thread ended Python."""


@dataclass
class _Block:
    """One use of `contained`.

    Attributes:
        whole: it is a whole command.
        forked: children were forked that may come back.
        back: set to 1 by a child that did; it is shared with all children.
        ended: what `os._exit` was called with, even if the user's code went on after it.
        interrupted: `_Interrupted` was raised in its thread, or will be.
        closed: the user's code has returned, or raised.
    """

    whole: bool = False
    process: int = field(default_factory=os.getpid)
    thread: int = field(default_factory=threading.get_ident)
    forked: bool = False
    back: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1))
    ended: SystemExit | None = None
    interrupted: bool = False
    closed: threading.Event = field(default_factory=threading.Event)

    def interrupt(self) -> None:
        """Raise `_Interrupted` in the block's thread, wherever it is, as soon as it runs Python."""
        with _interrupting:
            if not self.closed.is_set():
                self.interrupted = True
                thread, error = ctypes.c_ulong(self.thread), ctypes.py_object(_Interrupted)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, error)

    def close(self) -> None:
        """From now on nothing is raised in the block's thread."""
        while not self.closed.is_set() and self.process == os.getpid():
            with suppress(_Interrupted):
                with _interrupting:
                    self.closed.set()
                # Raised here and now, if it was not yet. Python can take it back, too, but then looks for it
                # ever after, and never ends in a forked child under `sys.setprofile`.
                for _ in range(100 if self.interrupted else 0):
                    pass


@contextmanager
def contained(*, whole: bool = False) -> Iterator[None]:
    """Run a user's own code, and let it raise errors alone.

    `sys.exit` and `os._exit` are errors here. A child process that the code forks does what the code lets it
    do, and ends where it would return to this program.

    Args:
        whole: the block is a whole command and not one tile: a child that came back is ended and no error.

    Raises:
        EndedPythonError: the code called `sys.exit` or `os._exit`.
        CameBackError: a child process came back.
    """
    _watch()
    thread, outer, block = threading.get_ident(), _blocks.get(threading.get_ident()), _Block(whole)
    _blocks[thread] = block
    try:
        yield
        block.close()
        if block.ended is not None:
            raise block.ended
        if not whole and block.process == os.getpid():
            _refuse_children(block)
    except SystemExit as error:
        block.close()
        found = block.ended if isinstance(error, _Interrupted) and block.ended is not None else error
        if found is error and _on_purpose(error):
            raise
        raise EndedPythonError(_ended(found)) from None
    finally:
        block.close()
        if os.getpid() != block.process:
            _real_exit(1)
        if outer is None:
            del _blocks[thread]
        else:
            _blocks[thread] = outer


def _ended(error: SystemExit) -> str:
    return (
        f"the study's own code ended Python, {error_line(error)}; "
        "wanted a result, or an error that says why there is none"
    )


def _refuse_children(block: _Block) -> None:
    deadline = time.monotonic() + CHILD_SECONDS
    while block.forked and not block.back[0] and time.monotonic() < deadline:
        time.sleep(0.005)
    if block.back[0]:
        raise CameBackError(
            "the study's own code forked a child process that came back, and it was ended; "
            "wanted a child that ends itself, by os._exit"
        )


def _on_purpose(error: SystemExit) -> bool:
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return _root(trace.tb_frame) in ENDED_BY


def _root(frame: FrameType) -> str:
    """The package whose code a frame runs."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


@cache
def _watch() -> None:
    """Look at every `os._exit` and fork of this process from now on."""
    # Never taken back: another thread may be inside a block of its own. Outside of blocks nothing changes.
    os._exit = _exit
    os.register_at_fork(after_in_parent=_forked, after_in_child=_end_on_return)


def _exit(status: int = 0) -> NoReturn:
    block, frame = _blocks.get(threading.get_ident()), sys._getframe(1)
    if block is None:
        _exit_in_a_thread(status, frame)
    if block.process != os.getpid():
        _real_exit(status)
    block.ended = SystemExit(f"os._exit({status})")
    raise block.ended


def _exit_in_a_thread(status: int, frame: FrameType) -> NoReturn:
    """End the tile in which a user's code started the thread that calls this, and the thread with it."""
    # Of several tiles that this process trains at once, nothing says which one started it.
    tiles = [one for one in list(_blocks.values()) if not one.whole and one.process == os.getpid()]
    if not tiles or _root(frame) in ENDED_BY:
        _real_exit(status)
    error = SystemExit(f"os._exit({status})")
    error.__traceback__ = TracebackType(None, frame, frame.f_lasti, frame.f_lineno)
    tile, until = tiles[-1], time.monotonic() + THREAD_SECONDS
    tile.ended = error
    while not tile.closed.is_set() and time.monotonic() < until:
        tile.interrupt()
        # Again and again: what is raised inside a destructor is lost.
        tile.closed.wait(1)
    if not tile.closed.is_set():
        # It waits for something outside of Python, and may do so for ever. The thread was right to give up.
        say_past_logs(f"{_ended(error)}\nits tile could not be ended otherwise, and this process ends")
        _real_exit(1)
    raise SystemExit(status)


def _forked() -> None:
    block = _blocks.get(threading.get_ident())
    if block is not None and not _ends_itself(sys._getframe(1)):
        block.forked = True


def _end_on_return() -> None:
    """In a child process, watch for the moment when it would return from the user's code to this program.

    The child must not train on until its tile ends: threads of torch are not there after a fork, and the next
    step may wait for them for ever.
    """
    block, frame = _blocks.get(threading.get_ident()), sys._getframe(1)
    if block is None or _ends_itself(frame):
        return
    outermost, above = frame, frame.f_back
    while above is not None and not above.f_code.co_filename.startswith(HOUSE):
        outermost, above = above, above.f_back

    def returned(frame: FrameType, event: str, value: Any) -> None:
        if event == "return" and frame is outermost:
            block.back[0] = 1
            _real_exit(1)

    sys.setprofile(returned)


def _ends_itself(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") in END_THEMSELVES
