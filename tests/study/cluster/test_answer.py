"""What comes back from a head is whole, and does nothing to whoever asked."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from study.cluster import answer
from study.cluster.answer import found_in, packed, printed, unpacked
from study.errors import PoolError


def archive(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """An archive with anything in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            made.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_text_and_files_come_back(tmp_path: Path) -> None:
    """Byte for byte, between any lines of a log, and are written whole."""
    (tmp_path / "out" / "heatmaps").mkdir(parents=True)
    content = bytes(range(256)) * 64
    (tmp_path / "out" / "heatmaps" / "a b ü.png").write_bytes(content)
    log = f"a line\n{answer.BEGIN} of another\n{printed(packed('über'.encode(), tmp_path / 'out'))}\nmore\n"
    found = unpacked(found_in(log))
    assert (found.text, found.files) == ("über", {"heatmaps/a b ü.png": content})
    # Somebody's link is replaced and not followed.
    (tmp_path / "in" / "heatmaps").mkdir(parents=True)
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "in" / "heatmaps" / "a b ü.png").symlink_to(tmp_path / "kept")
    (written,) = found.write(tmp_path / "in")
    assert written.read_bytes() == content
    assert (tmp_path / "kept").read_text() == "kept"
    assert [path.name for path in (tmp_path / "in").rglob("*") if path.is_file()] == ["a b ü.png"]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "no answer: it printed nothing"),
        ("a\n  /bin/sh: study: not found \n\n", "no answer: /bin/sh: study: not found"),
        (f"{answer.BEGIN} what\n", "did not arrive whole"),
        (f"{answer.BEGIN} x y\n", "did not arrive whole"),
        (f"{answer.BEGIN} 1 00\nÄ\n", "did not arrive whole"),
        (printed(b"x" * 9000)[:-5], "did not arrive whole"),
        (printed(b"x" * 9000).replace("eHh4", "eHh5", 1), "did not arrive whole"),
    ],
)
def test_an_answer_that_is_absent_or_damaged(log: str, words: str) -> None:
    """It is said in a sentence."""
    with pytest.raises(PoolError, match=words):
        found_in(log)


@pytest.mark.parametrize(
    "name",
    [
        *("../a.csv", "/etc/a.csv", "files/../a.csv", "files/a/../../b.csv", "a.csv", "files", "", "."),
        *("files/.bashrc", "files/.ssh/a.csv", "files/run.sh", "files/a\x1b[2J.csv", "files/cells.csv/x"),
    ],
)
def test_no_file_but_those_of_an_export(name: str) -> None:
    """A name that leads elsewhere, hides, controls a terminal or could be run is refused."""
    with pytest.raises(PoolError, match="the head's answer has "):
        unpacked(archive(("text", b""), (name, b"x")))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_no_links_and_devices(kind: bytes) -> None:
    """They are refused."""
    with pytest.raises(PoolError, match="which is no file"):
        unpacked(archive(("files/a.csv", b""), kind=kind))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", archive(("text", b"x" * 99))[:-20], gzip.compress(b"no archive" * 99)],
    # Compressed bytes have the time in them, and every process of the tests must find the same names.
    ids=["empty", "text", "cut", "no tar"],
)
def test_what_is_no_archive(content: bytes) -> None:
    """It is said in a sentence; an archive that is cut short has no text."""
    with pytest.raises(PoolError, match="the head's answer cannot be read"):
        unpacked(content)


def test_a_bomb_does_not_go_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than the limit is never unpacked, whatever the archive says of its sizes."""
    monkeypatch.setattr(answer, "MOST_BYTES", 2**16)
    with pytest.raises(PoolError, match="more than 65,536 bytes"):
        unpacked(archive(("files/a.csv", bytes(2**20))))
    assert unpacked(archive(("files/a.csv", bytes(2**10)))).files == {"a.csv": bytes(2**10)}


def test_a_verb_is_answered_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code, text and errors of the verb; errors go to the log, beside the answer."""
    monkeypatch.chdir(tmp_path)
    assert answer.main(["specs", "no-such-spec"]) == 2
    said = capfd.readouterr()
    assert unpacked(found_in(said.out)).files == {}
    assert said.err.startswith("error no-such-spec: not a shipped spec")
