"""`report.html` in a real browser, opened from disk without a network: `make browser`.

Pictures of it are left in `out/browser/`, to be looked at.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fabricated import WIDE, hill
from tests.study.report.page.studies import analysis_of, page_of
from tests.tools.browser.chromium import Page, browser, chromium

pytestmark = pytest.mark.skipif(browser() is None, reason="no Chromium is installed")
PICTURES = Path(__file__).resolve().parents[3] / "out" / "browser"
HEAT = "document.querySelectorAll('.heat')"
TITLE = "document.querySelector('#cell h3').textContent"
SERIOUS = ("serious", "critical")
EVIL = "</script><img src=x onerror=document.title='broken'>"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three transforms, with a description that tries to break out."""
    folder = tmp_path_factory.mktemp("report")
    text = WIDE.replace("a study of seconds", json.dumps(EVIL))
    path = folder / "report.html"
    path.write_text(page_of(analysis_of(folder, text, hill)), encoding="utf-8")
    return path


def in_browser(folder: Path, act: Callable[[Page], Awaitable[None]]) -> None:
    """Do something in a tab without a network. Afterwards the console is empty and nothing was asked for."""

    async def run() -> None:
        async with chromium(folder / "browser") as page:
            await page.offline()
            await act(page)
            assert page.errors == []
            assert [one for one in page.requests if not one.startswith(("file:", "blob:", "about:"))] == []

    asyncio.run(run())


async def middle(page: Page, element: str, x: float = 0.55, y: float = 0.4) -> tuple[float, float]:
    """Where a part of an element is on the screen; the element is scrolled there."""
    await page.ask(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    box = await page.ask(f"{element}.getBoundingClientRect().toJSON()")
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_mouse_and_keys(report: Path, tmp_path: Path) -> None:
    """Pointing shows a cell's numbers, a click keeps it, arrow keys move, enter compares, escape clears."""

    async def act(page: Page) -> None:
        await page.look(width=1280, height=800)
        await page.open(report.as_uri())
        assert await page.ask("document.title") == "tiny: stability study"
        await page.point(*await middle(page, f"{HEAT}[0]"))
        await page.wait_for(f"{TITLE}.startsWith('none: lr ')")
        await page.point(*await middle(page, f"{HEAT}[1]"), click=True)
        await page.wait_for("document.querySelectorAll('.chips li').length === 1")
        assert await page.ask("document.querySelectorAll('#compared .series').length") >= 1
        await page.ask(f"{HEAT}[1].focus()")
        before = await page.ask(TITLE)
        await page.press("ArrowLeft")
        await page.wait_for(f"{TITLE} !== {json.dumps(before)}")
        # What a screen reader says is what the readout shows.
        place = (await page.ask(TITLE)).split(": ")[1]
        assert place in await page.ask("document.getElementById('live').textContent")
        await page.press("Enter")
        await page.wait_for("document.querySelectorAll('.chips li').length === 2")
        assert await page.ask("document.querySelectorAll('.picked text').length") == 2
        text = await page.ask("document.querySelector('.csv textarea').value")
        assert len(text.splitlines()) == 1 + 2 * 3
        await page.press("Home")
        await page.wait_for(f"{TITLE}.includes('lr 10⁻⁵')")
        await page.press("Escape")
        await page.wait_for("document.querySelectorAll('.picked text').length === 0")
        seen = await page.ask("document.querySelector('#cell tbody').textContent")
        assert "finished" in seen
        assert "diverged" not in seen.replace("diverged at step", "")

    in_browser(tmp_path, act)


def test_every_view_paints_every_cell(report: Path, tmp_path: Path) -> None:
    """The script's first view is the picture that came with the page, and each view changes the legend."""

    async def act(page: Page) -> None:
        await page.open(report.as_uri())
        count = await page.ask("document.querySelector('select.view').options.length")
        assert count >= 3
        drawn = (
            "[...document.querySelectorAll('.cells path')].map("
            "one => one.getAttribute('class') + one.getAttribute('d')).sort().join()"
        )
        came = await page.ask(drawn)
        legends = set()
        for k in (*range(count), 0):
            await page.ask(
                f"(s => {{ s.selectedIndex = {k}; s.dispatchEvent(new Event('change')); }})"
                "(document.querySelector('select.view'))"
            )
            legends.add(await page.ask("document.querySelector('.colours figcaption').textContent"))
        assert len(legends) == count
        assert await page.ask(drawn) == came

    in_browser(tmp_path, act)


def test_in_a_sandbox(report: Path, tmp_path: Path) -> None:
    """It works where MLflow shows it: from a blob, in a frame that may run scripts and nothing else."""

    async def act(page: Page) -> None:
        await page.look(width=1000, height=640)
        viewer = tmp_path / "viewer.html"
        viewer.write_text("<!doctype html><title>viewer</title><body style='margin:0'></body>")
        await page.open(viewer.as_uri())
        await page.ask(
            f"(text => {{ const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts';"
            "frame.style = 'width:100%;height:600px;border:0';"
            "frame.src = URL.createObjectURL(new Blob([text], {type: 'text/html'}));"
            f"document.body.append(frame); }})({json.dumps(report.read_text(encoding='utf-8'))})"
        )
        frame = await page.frame_with("document.documentElement.classList.contains('js')")
        await page.ask(f"{HEAT}[0].scrollIntoView({{block: 'center', behavior: 'instant'}})", frame)
        box = await page.ask(f"{HEAT}[0].getBoundingClientRect().toJSON()", frame)
        await page.point(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"], click=True)
        await page.wait_for("document.querySelectorAll('.chips li').length === 1", frame)
        PICTURES.mkdir(parents=True, exist_ok=True)
        await page.picture(PICTURES / "sandbox.png", whole=False)

    in_browser(tmp_path, act)


def test_without_scripts(report: Path, tmp_path: Path) -> None:
    """With scripts off, maps, lines and tables are there, and no control that does nothing."""

    async def act(page: Page) -> None:
        await page.look(width=1000, height=700)
        await page.scripts(on=False)
        await page.open(report.as_uri())
        # The devtools themselves may still ask.
        assert await page.ask("document.querySelectorAll('.cells path').length") > 10
        assert await page.ask("getComputedStyle(document.querySelector('.tools')).display") == "none"
        assert await page.ask("getComputedStyle(document.querySelector('#inspector')).display") == "none"
        PICTURES.mkdir(parents=True, exist_ok=True)
        await page.picture(PICTURES / "no-scripts.png")

    in_browser(tmp_path, act)


LOOKS = {
    "light": {"width": 1280, "height": 800},
    "dark": {"width": 1280, "height": 800, "dark": True},
    "phone": {"width": 390, "height": 800},
    "phone-dark": {"width": 390, "height": 800, "dark": True},
    "viewer": {"width": 900, "height": 600},
}


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility checker; skips where npm cannot be reached."""
    folder = tmp_path_factory.mktemp("axe")
    try:
        command = ["npm", "pack", "axe-core@4"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot be asked for axe-core: {error}")
    archives = list(folder.glob("axe-core-*.tgz"))
    if not archives:
        pytest.skip(f"npm has no axe-core: {done.stderr[-200:]}")
    with tarfile.open(archives[0]) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


def test_looks_and_accessibility(report: Path, tmp_path: Path, axe: str) -> None:
    """In every look nothing is wider than the window, and axe finds nothing serious.

    With a cell chosen and every table opened, too.
    """
    found = []

    async def act(page: Page) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        for name, look in LOOKS.items():
            await page.look(**look)  # type: ignore[arg-type]
            await page.open(report.as_uri())
            await page.picture(PICTURES / f"{name}.png")
            wide, window = await page.ask("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= max(window, int(look["width"])), name
            for state in ("as it is", "with all opened"):
                if state != "as it is":
                    await page.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
                    await page.point(*await middle(page, f"{HEAT}[0]"), click=True)
                    await page.picture(PICTURES / f"{name}-chosen.png", whole=False)
                await page.ask(f"{axe}; true")
                answer = await page.ask("axe.run(document, {resultTypes: ['violations']})")
                for one in answer["violations"]:
                    where = [node["target"] for node in one["nodes"]][:3]
                    found.append((name, state, one["impact"], one["id"], where))
        await page.look(width=800, height=1100)
        await page.paper(PICTURES / "print.pdf")

    in_browser(tmp_path, act)
    assert [one for one in found if one[2] in SERIOUS] == []
