"""The pages of the repository, and the fenced blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


ROOMS = ("search_spaces", "trainers", "tracking", "study", "docker", "tests")


FRONT = ROOT / "README.md"


PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(page for room in ROOMS for page in (ROOT / room).rglob("README.md")),
]


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


FILE_NAME = re.compile(r"# ([\w-]+\.(?:yaml|py))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        kind: the word after the fence. line: of the fence, counted from 1.
        file: the name of the file that the block shows, from its first line; empty for any other block.
    """

    kind: str
    text: str
    line: int
    file: str

    @property
    def commands(self) -> list[str]:
        """The command lines of a shell block, without their comments."""
        lines = self.text.splitlines() if self.kind == "sh" else []
        return [command for line in lines if (command := re.split(r"\s+#", line)[0].strip())]

    @property
    def runs(self) -> bool:
        """Whether there is something to run in it, beside what only names a tool."""
        if self.kind == "sh":
            return any(command.startswith("study ") for command in self.commands)
        return self.kind in ("python", "yaml")


LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        kind, content = match.groups()
        named = FILE_NAME.match(content)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(kind, content, line, named[1] if named else ""))
    return tuple(found)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def linked(page: Path) -> list[Path]:
    """The pages that a page links to, in order."""
    targets = [(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(page))]
    return [other for other in dict.fromkeys(targets) if other in PAGES and other != page]


def shown_files(*pages: Path) -> dict[str, str]:
    """What the files hold that pages show, by name."""
    return {block.file: block.text for page in pages for block in blocks(page) if block.file}


OF_STUDY = [page for page in PAGES if page.is_relative_to(ROOT / "study")]
"""The pages about specs, with the code of a user's own that they show."""
