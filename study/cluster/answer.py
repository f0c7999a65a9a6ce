"""Answers of the head: `python -m study.cluster.answer [--files] VERB …` runs a verb and prints what it gave.

A job has one text that it leaves behind, in which lines of Ray's may stand too. So an answer has a first line
with its length and hash, and is written in letters that no log changes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from study.errors import PoolError

BEGIN = "stability-study answer"
FILES = "--files"
LINE = 3 * 1024
"""Bytes in a line; a multiple of 3 makes lines of base64 that can be joined."""


@dataclass(frozen=True)
class Answer:
    """What a verb gave.

    Attributes:
        files: by their paths.
    """

    text: str
    files: dict[str, bytes]

    def write(self, folder: Path) -> list[Path]:
        """Write the files into a folder."""
        written = []
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written.append(path)
        return written


def printed(content: bytes) -> str:
    """Bytes as lines of a log."""
    lines = [base64.b64encode(content[k : k + LINE]).decode() for k in range(0, len(content), LINE)]
    return "\n".join([f"{BEGIN} {len(lines)} {hashlib.sha256(content).hexdigest()}", *lines])


def found_in(log: str) -> bytes:
    """The bytes that `printed` wrote into a log, between other lines.

    Raises:
        PoolError: there are none, or not all of them.
    """
    lines = log.splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith(f"{BEGIN} ")]
    if not starts:
        last = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
        raise PoolError(f"the head gave no answer: {last.strip()[:300]}")
    count, digest = lines[starts[-1]].removeprefix(f"{BEGIN} ").split()
    begin = starts[-1] + 1
    content = b"".join(base64.b64decode(line) for line in lines[begin : begin + int(count)])
    if hashlib.sha256(content).hexdigest() != digest:
        raise PoolError("the head's answer did not arrive whole; ask again")
    return content


def packed(text: bytes, folder: Path | None) -> bytes:
    """A text, and the files of a folder, as a compressed archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("text")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
        for path in sorted(folder.rglob("*")) if folder else ():
            if path.is_file():
                archive.add(path, f"files/{path.relative_to(folder)}" if folder else "", recursive=False)
    return buffer.getvalue()


def unpacked(content: bytes) -> Answer:
    """What `packed` made.

    Raises:
        PoolError: it is no such archive.
    """
    text = ""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                # Links and devices of an archive are never made, because nothing is extracted to a path.
                file = archive.extractfile(member) if member.isfile() else None
                if file is None:
                    raise PoolError(f"the head's answer has {member.name!r}, which is no file")
                data = file.read()
                name = PurePosixPath(member.name)
                if member.name == "text":
                    text = data.decode()
                elif name.parts[0] == "files" and ".." not in name.parts:
                    files[str(name.relative_to("files"))] = data
                else:
                    raise PoolError(f"the head's answer has {member.name!r}, which leads out of its folder")
    except (tarfile.TarError, UnicodeDecodeError, EOFError) as error:
        raise PoolError(f"the head's answer cannot be read ({error})") from None
    return Answer(text, files)


def main(words: list[str]) -> int:
    """Run a verb of `study`, print its answer, and return its exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "out"
        with_files = words[:1] == [FILES]
        options = [*words[1:], "--out", str(folder)] if with_files else words
        # Another process: what it prints is known to be all, and its errors go on to the log.
        ended = subprocess.run([sys.executable, "-m", "study.cli", *options], stdout=subprocess.PIPE)
        print(printed(packed(ended.stdout, folder if with_files else None)), flush=True)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
