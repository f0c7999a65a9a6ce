"""Every command, example, link and file name on every page holds.

Each page with examples is played from top to bottom by one process, in a folder of its own: see `play`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.pages import FRONT, LINK, PAGES, ROOMS, ROOT, Block, blocks, linked, prose, shown_files

MODULE = re.compile(r"python -m ([\w.]+)")
TARGET = re.compile(r"`make ([a-z-]+)`")
REPOSITORY_FILE = re.compile(rf"`((?:{'|'.join(ROOMS)})/[\w/.-]+)`")
HELP_ONLY = re.compile(r"study (ui|twins)\b|study .* --cluster ")
"""Commands of which the pages only get the help: they serve forever, need more seeds, or need a cluster."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def play(page: Path) -> None:
    """Run a page from top to bottom in the current folder. What is printed last names the block that failed.

    Files that a page shows are there from the start, and those of the front page and of pages that it links
    to. All commands run in this process, since starting Python and importing torch costs seconds each time. A
    YAML block is planned. One that shows no file is a part of a spec, and takes its place in the front page's
    study.
    """
    for name, text in shown_files(FRONT, *linked(page), page).items():
        Path(name).write_text(text, encoding="utf-8")
    for block in blocks(page):
        where = f"{name_of(page)}:{block.line}"
        print(where, flush=True)
        if block.kind == "python" and not is_command(block, page):
            exec(compile(block.text, where, "exec"), {"__name__": "__main__"})
        elif block.kind == "yaml":
            study(f"study plan {block.file or completed(block)}")
        for command in block.commands:
            if command.startswith("study "):
                study(command)


def is_command(block: Block, page: Path) -> bool:
    """Whether a spec of the page has this file as a command, which cells start with words of their own."""
    specs = [yaml.safe_load(other.text) for other in blocks(page) if other.kind == "yaml" and other.file]
    workloads = [spec["workload"] for spec in specs if isinstance(spec.get("workload"), dict)]
    return any(block.file in workload.get("command", ()) for workload in workloads)


def study(command: str) -> None:
    """Run a command line of `study`.

    Raises:
        RuntimeError: it did not exit with 0.
    """
    from study.cli import main

    print(f"$ {command}", flush=True)
    sys.argv = shlex.split(command) + (["--help"] if HELP_ONLY.match(command) else [])
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"{command}: exit code {ended.code}") from None


def completed(part: Block) -> str:
    """The front page's study with some keys replaced, written to a file; its name."""
    (base,) = (block for block in blocks(FRONT) if block.file == "my-study.yaml")
    given = dict(keys_of(part.text)) | {"name": f"name: part-{part.line}\n"}
    kept = [chunk for key, chunk in keys_of(base.text) if key not in given]
    path = Path(f"part-{part.line}.yaml")
    path.write_text("".join([*kept, *given.values()]), encoding="utf-8")
    return path.name


def keys_of(spec: str) -> Iterator[tuple[str, str]]:
    """The keys at the top of a YAML text, each with its lines."""
    for chunk in re.split(r"^(?=\w)", spec, flags=re.MULTILINE):
        if chunk[:1].isalpha():
            yield chunk.split(":")[0], chunk


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(block.runs for block in blocks(page))], ids=name_of
)
def test_page_runs(page: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every command and example of a page runs as it stands, in the page's order."""
    # One home behind every page's default one: what a page before has trained is not trained again. Each
    # worker has its own, because waiting for the other's takes longer than training those cells.
    home = tmp_path_factory.getbasetemp() / "home-of-the-pages"
    home.mkdir(exist_ok=True)
    (tmp_path / "stability-study-home").symlink_to(home, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_pages", name_of(page)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    if any("--out out" in command for block in blocks(page) for command in block.commands):
        assert (tmp_path / "out" / "claims.md").exists()


def test_shell_blocks_hold_commands_that_are_checked() -> None:
    """A shell block has `study` commands, make targets, modules and single files of tests, nothing else."""
    checked = re.compile(r"study |make [a-z-]+$|(\.venv/bin/)?python -m |\.venv/bin/pytest -x [\w/.]+$")
    for page in PAGES:
        for block in blocks(page):
            for command in block.commands:
                assert checked.match(command), f"{name_of(page)}:{block.line}: {command}"


@every_page
def test_named_tools_exist(page: Path) -> None:
    """Make targets and modules that a page names exist. They are long, so they are not run."""
    commands = [command for block in blocks(page) for command in block.commands]
    targets = [command.removeprefix("make ") for command in commands if command.startswith("make ")]
    for target in sorted({*targets, *TARGET.findall(prose(page))}):
        done = subprocess.run(
            ["make", target, "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    for module in MODULE.findall(page.read_text(encoding="utf-8")):
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_a_file_is_the_same_on_every_page() -> None:
    """Where two pages show a file of one name, they show the same (comments of YAML apart)."""
    shown: dict[str, object] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.file:
                content = yaml.safe_load(block.text) if block.kind == "yaml" else block.text
                assert shown.setdefault(block.file, content) == content, f"{name_of(page)}:{block.line}"


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: lower case, with hyphens, numbered where several are equal."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        anchor, times = plain, 0
        while anchor in found:
            times += 1
            anchor = f"{plain}-{times}"
        found.add(anchor)
    return found


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link points at a file, and at a heading of it where it names one."""
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


@every_page
def test_named_files_exist(page: Path) -> None:
    """Every file and folder of a room that a page names in code marks exists."""
    if page.name != "CHANGELOG.md":  # which also names what is gone
        missing = [path for path in REPOSITORY_FILE.findall(prose(page)) if not (ROOT / path).exists()]
        assert not missing, f"{name_of(page)}: {missing}"


def test_every_room_has_a_page() -> None:
    """A folder at the top has a README, and the front page links to it."""
    rooms = [room for room in ROOMS if (ROOT / room).is_dir()]
    named = set(LINK.findall(prose(FRONT)))
    assert {f"{room}/README.md" for room in rooms} <= named


def test_the_page_of_study_names_all_of_it() -> None:
    """Every folder of code and every file that is directly in `study/` has its place on the page."""
    page = (ROOT / "study" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.]+/?)`", page))
    inside = {one.name for one in (ROOT / "study").glob("*.py")} - {"__init__.py"}
    inside |= {f"{one.parent.name}/" for one in (ROOT / "study").glob("*/__init__.py")}
    assert inside <= named


def test_front_page_is_short() -> None:
    """The front page has at most 160 lines and 10 KB."""
    content = FRONT.read_bytes()
    assert content.count(b"\n") <= 160
    assert len(content) <= 10_240


def test_pages_are_of_one_sitting() -> None:
    """A page has at most 20 KB, but for findings and the changelog, which grow with every study."""
    grow = {"CHANGELOG.md", "study/specs/README.md"}
    long = [name_of(page) for page in PAGES if page.stat().st_size > 20_480 and name_of(page) not in grow]
    assert not long, "move whole sections into pages of their own"


def test_picture_is_there_and_small() -> None:
    """The heatmap of the front page exists and is a small PNG."""
    picture = ROOT / ".github" / "quickstart.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 300_000


def between(page: Path, name: str) -> str:
    """What stands between the marks `<!-- name: begin -->` and `<!-- name: end -->`."""
    text = page.read_text(encoding="utf-8")
    return text.split(f"<!-- {name}: begin -->")[1].split(f"<!-- {name}: end -->")[0]


def test_found_table_names_n_and_every_measured_claim() -> None:
    """The table of findings gives an estimate with an interval, n and a verdict for each measured claim."""
    rows = [line for line in between(FRONT, "quickstart").splitlines() if line.startswith("| `")]
    assert len(rows) >= 6
    for row in rows:
        assert re.search(r"\[-?[\d.]+, -?[\d.]+\]", row), row
        assert re.search(
            r"\| \d+ \| \*\*(supported|refuted|no difference|inconclusive)\*\*( \(futile\))? \|", row
        ), row


if __name__ == "__main__":
    play(ROOT / sys.argv[1])
