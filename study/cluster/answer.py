"""Answers of the head: `python -m study.cluster.answer [--files] VERB …` runs a verb and prints what it gave.

A job has one text that it leaves behind, in which lines of Ray's may stand too. So an answer has a first line
with its length and hash, and is written in letters that no log changes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from study.errors import PoolError

BEGIN = "stability-study answer"
FILES = "--files"
LINE = 3 * 1024
"""Bytes in a line; a multiple of 3 makes lines of base64 that can be joined."""
MOST_BYTES = 2**30
"""Of an answer without its compression, which both sides hold in memory."""
ENDINGS = (".parquet", ".csv", ".json", ".md", ".tex", ".png", ".svg", ".pdf", ".html")
"""Of the files that a verb writes. A head that wants to do harm shall write no script, and no hidden file."""


@dataclass(frozen=True)
class Answer:
    """What a verb gave.

    Attributes:
        files: by their paths.
    """

    text: str
    files: dict[str, bytes]

    def write(self, folder: Path) -> list[Path]:
        """Write the files into a folder, each whole or not at all."""
        written = []
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            partial.write_bytes(content)
            # A link that somebody made there is replaced, and not followed.
            os.replace(partial, path)
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
    begin = starts[-1] + 1
    try:
        count, digest = lines[starts[-1]].removeprefix(f"{BEGIN} ").split()
        content = b"".join(base64.b64decode(line) for line in lines[begin : begin + int(count)])
    except ValueError:
        content, digest = b"", ""
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
        PoolError: it is no such archive, too large, or has a file that no verb writes.
    """
    text = ""
    files: dict[str, bytes] = {}
    try:
        # Before tarfile sees it: a few compressed bytes may stand for more than any memory.
        plain = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MOST_BYTES + 1)
        if len(plain) > MOST_BYTES:
            raise PoolError(f"the head's answer has more than {MOST_BYTES:,} bytes; fetch it from its home")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                # Links and devices of an archive are never made, because nothing is extracted to a path.
                file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
                if file is None:
                    raise PoolError(f"the head's answer has {member.name!r}, which is no file")
                if member.name == "text":
                    text = file.read().decode()
                else:
                    files[_checked(member.name)] = file.read()
    except (tarfile.TarError, OSError, zlib.error, UnicodeDecodeError, EOFError) as error:
        raise PoolError(f"the head's answer cannot be read ({error})") from None
    return Answer(text, files)


def _checked(name: str) -> str:
    """The path of a file of an answer, below the folder that it is written to.

    Raises:
        PoolError: it leads elsewhere, or no verb writes such a file.
    """
    top, *inside = PurePosixPath(name).parts or ("",)
    # A name that begins with a full stop is hidden, or leads upwards.
    if top != "files" or not inside or any(part.startswith(".") for part in inside):
        raise PoolError(f"the head's answer has {name!r}, which leads out of its folder")
    if not name.endswith(ENDINGS) or not name.isprintable():
        raise PoolError(f"the head's answer has {name!r}, which no export has")
    return "/".join(inside)


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
