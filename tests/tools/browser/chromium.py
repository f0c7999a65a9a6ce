"""A headless Chromium, driven over its devtools: pages are opened, asked, clicked at and photographed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# No sandbox: in containers there are no namespaces to build one from, and the pages are the tests' own.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio")
SECONDS = 60.0
"""How long anything may take; a machine that measures something else is slow."""
KEYS = {
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    "Enter": 13, "Tab": 9, "Home": 36, "End": 35, "Escape": 27,
}  # fmt: skip
"""Codes of the keys that `press` knows."""


def browser() -> str | None:
    """Where a browser is installed; None where none is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab.

    Attributes:
        requests: addresses that the page asked for, itself included.
        errors: what the console and uncaught exceptions said.
        frames: sessions of frames that are processes of their own, as those in a sandbox are.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._last = socket, 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.frames: list[str] = []
        self._enabling: list[asyncio.Task[None]] = []
        self._listener = asyncio.create_task(self._listen())

    async def call(self, method: str, *, session: str = "", **values: Any) -> dict[str, Any]:
        """A command of the devtools, and its answer.

        Args:
            session: of a frame that is a process of its own; the page itself if none is given.
        """
        self._last += 1
        waiting = self._waiting[self._last] = asyncio.get_running_loop().create_future()
        where = {"sessionId": session} if session else {}
        await self._socket.send_json({"id": self._last, "method": method, "params": values, **where})
        answer = await asyncio.wait_for(waiting, SECONDS)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        found: dict[str, Any] = answer["result"]
        return found

    async def _listen(self) -> None:
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
                continue
            name, about = said["method"], said["params"]
            if name == "Page.loadEventFired":
                self._loaded.set()
            elif name == "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            elif name == "Target.attachedToTarget":
                self.frames.append(about["sessionId"])
                self._enabling.append(asyncio.create_task(self._enable(about["sessionId"])))
            elif name == "Target.detachedFromTarget":
                self.frames.remove(about["sessionId"])
            elif name == "Runtime.exceptionThrown":
                self.errors.append(str(about["exceptionDetails"].get("exception", about)))
            elif name == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning"):
                self.errors.append(str(about["args"]))
            elif name == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
                self.errors.append(about["entry"]["text"])

    async def close(self) -> None:
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener

    async def start(self) -> Self:
        await self._enable("")
        await self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)
        return self

    async def _enable(self, session: str) -> None:
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable", session=session)

    async def offline(self) -> None:
        """Cut the network."""
        await self.call(
            "Network.emulateNetworkConditions",
            offline=True, latency=0, downloadThroughput=0, uploadThroughput=0,
        )  # fmt: skip

    async def look(self, *, width: int, height: int, dark: bool = False, printed: bool = False) -> None:
        """Set the window's size and what the user prefers."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        await self.call(
            "Emulation.setEmulatedMedia",
            media="print" if printed else "screen",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    async def scripts(self, *, on: bool) -> None:
        """Whether pages may run scripts."""
        await self.call("Emulation.setScriptExecutionDisabled", value=not on)

    async def open(self, address: str) -> None:
        """Go to an address, and wait until all is loaded."""
        self._loaded.clear()
        answer = await self.call("Page.navigate", url=address)
        assert "errorText" not in answer, answer
        await asyncio.wait_for(self._loaded.wait(), SECONDS)

    async def ask(self, expression: str, session: str = "") -> Any:
        """The value of an expression in the page, or in a frame of it; promises are awaited."""
        answer = await self.call(
            "Runtime.evaluate", session=session, expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def wait_for(self, expression: str, session: str = "") -> None:
        """Wait until an expression is true."""
        for _ in range(int(SECONDS * 10)):
            if await self.ask(expression, session):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"never true: {expression}")

    async def frame_with(self, expression: str) -> str:
        """The session of a frame in which an expression comes true."""
        for _ in range(int(SECONDS * 10)):
            for session in list(self.frames):
                if await self.ask(expression, session):
                    return session
            await asyncio.sleep(0.1)
        raise AssertionError(f"true in no frame: {expression}")

    async def point(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse there, and click if asked to."""
        kinds = ("mouseMoved", "mousePressed", "mouseReleased") if click else ("mouseMoved",)
        for kind in kinds:
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y,
                button="none" if kind == "mouseMoved" else "left", clickCount=int(kind != "mouseMoved"),
            )  # fmt: skip

    async def press(self, key: str) -> None:
        """Press and release a key."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **about, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """A photograph of the page, or of the window alone."""
        answer = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        if whole:
            size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12000), "scale": 1}
            answer = await self.call(
                "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
            )
        path.write_bytes(base64.b64decode(answer["data"]))

    async def paper(self, path: Path) -> None:
        """The page as it is printed on A4."""
        answer = await self.call(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True
        )
        path.write_bytes(base64.b64decode(answer["data"]))


@contextlib.asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Page]:
    """A browser with one tab. It ends with the block.

    Args:
        folder: for what the browser keeps; it is made.
    """
    path = browser()
    assert path, "no browser is installed"
    profile = folder / "profile"
    profile.mkdir(parents=True)
    # Port 0 lets the browser choose one, and it writes which into a file.
    command = [path, *FLAGS, *QUIET, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = await _port(profile / "DevToolsActivePort", running)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                tab = next(one for one in await answer.json() if one["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = await Page(socket).start()
                try:
                    yield page
                finally:
                    await page.close()
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


async def _port(file: Path, running: subprocess.Popen[bytes]) -> int:
    for _ in range(int(SECONDS * 10)):
        assert running.poll() is None, f"the browser ended with {running.returncode}"
        if file.exists() and (words := file.read_text().split()):
            return int(words[0])
        await asyncio.sleep(0.1)
    raise AssertionError("the browser did not open its port")
