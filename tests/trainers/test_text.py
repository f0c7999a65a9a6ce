"""Texts become windows of tokens, split and scored as they say, and bad ones are refused in one sentence."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers import Workload, make_workload
from trainers.budget import Budget
from trainers.feed import Feed
from trainers.workloads.corpus import library
from trainers.workloads.language import NUMBERS, language
from trainers.workloads.text import nats_per_token, token_loss


def text(file: Path | None = None, **constants: Any) -> Workload:
    constants = {"context": 8, "length": 3000, "eval_windows": 4, **constants}
    return make_workload(
        "text",
        "llama",
        {"width": 4, "heads": 1, "hidden": 4, "depth": 1},
        file=file and str(file),
        **constants,
    )


def test_windows_are_the_text(tmp_path: Path) -> None:
    """Targets are inputs one token later; the last tenth is for validation, and windows do not overlap."""
    content = bytes(range(200)) + bytes(200 - k for k in range(200))
    (tmp_path / "a.txt").write_bytes(content)
    made = text(tmp_path / "a.txt", eval_windows=3)
    assert len(made.train_x) == (360 - 1) // 8
    assert bytes(made.train_x[:].flatten().tolist()) == content[: 44 * 8]
    assert bytes(made.train_y[:].flatten().tolist()) == content[1 : 44 * 8 + 1]
    starts = [0, 8, 16]  # of four windows the first three: k * 4 // 3
    assert [bytes(row.tolist()) for row in made.eval_x] == [content[360 + s :][:8] for s in starts]
    assert [bytes(row.tolist()) for row in made.eval_y] == [content[361 + s :][:8] for s in starts]
    near = text(tmp_path / "a.txt", stride=1)
    assert len(near.train_x) == 360 - 1 - 8 + 1
    assert bytes(near.train_x[:][5].tolist()) == content[5:13]


def test_windows_are_no_copies() -> None:
    """However they overlap, windows are parts of one sequence in memory, and the trainer's are, too."""
    made = text(stride=1)
    held = Feed(made, Budget(2, 4), 0, "cpu")._train_x
    assert held.untyped_storage().nbytes() == 3000
    assert held.nbytes > 8 * 2000


def test_chance_is_that_of_frequencies(tmp_path: Path) -> None:
    """Cross-entropy of evaluation targets under add-one frequencies of the training tokens, by hand."""
    content = b"abcabcaabd" * 40
    (tmp_path / "a.txt").write_bytes(content)
    made = text(tmp_path / "a.txt")
    counts, n = Counter(content[:360]), 360
    targets = bytes(made.eval_y[:].flatten().tolist())
    by_hand = -sum(math.log((counts[token] + 1) / (n + 256)) for token in targets) / len(targets)
    assert made.chance == pytest.approx(by_hand, rel=1e-12)


def test_loss_and_score() -> None:
    """Mean cross-entropy as torch has it, plus z · (log Z)²; the score has no such part."""
    logits, y = torch.randn(3, 5, 7, dtype=torch.float64), torch.randint(7, (3, 5))
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    squares = torch.logsumexp(logits, -1).square().mean()
    torch.testing.assert_close(token_loss(logits, y), plain)
    torch.testing.assert_close(token_loss(logits, y, 0.1), plain + 0.1 * squares)
    torch.testing.assert_close(nats_per_token(logits, y).mean(), plain)


def test_files_of_numbers(tmp_path: Path) -> None:
    """nanoGPT's uint16 tokens, of a vocabulary that is given."""
    ids = np.arange(1000, dtype=np.uint16) * 65
    (tmp_path / "train.bin").write_bytes(ids.tobytes())
    made = text(tmp_path / "train.bin", vocabulary=65000)
    assert made.train_y[:1].tolist() == [ids[1:9].tolist()]
    assert made.output_numbers == 8 * 65000
    assert made.prepared(made.train_x[:1], torch.float32).dtype == torch.int64
    assert made.initial_model(0)(made.prepared(made.eval_x[:1], torch.float32)).shape == (1, 8, 65000)


def test_tokenizers(tmp_path: Path) -> None:
    """A tokenizer's JSON gives its own ids and vocabulary."""
    package = pytest.importorskip("tokenizers")
    words = {"le": 0, "los": 1, "[UNK]": 2}
    tokenizer = package.Tokenizer(package.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = package.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "t.json"))
    (tmp_path / "a.txt").write_text("le los le bu " * 60, encoding="utf-8")
    made = text(tmp_path / "a.txt", tokens=str(tmp_path / "t.json"))
    assert made.train_x[:1].tolist() == [[0, 1, 0, 2, 0, 1, 0, 2]]
    assert made.output_numbers == 8 * 3
    (tmp_path / "b.txt").write_bytes(b"le \xff")
    with pytest.raises(ValueError, match="is not UTF-8 at byte 3"):
        text(tmp_path / "b.txt", tokens=str(tmp_path / "t.json"))
    (tmp_path / "u.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="is no tokenizer"):
        text(tmp_path / "a.txt", tokens=str(tmp_path / "u.json"))


def test_fingerprints(tmp_path: Path) -> None:
    """The same text anywhere has one fingerprint; other tokens, windows or networks have another."""
    for name, content in (("a.txt", b"ab" * 500), ("b.txt", b"ab" * 500), ("c.txt", b"ac" + b"ab" * 499)):
        (tmp_path / name).write_bytes(content)
    first = text(tmp_path / "a.txt").fingerprint()
    assert first == text(tmp_path / "b.txt").fingerprint()
    others = [
        text(tmp_path / "c.txt"),
        text(tmp_path / "a.txt", context=9),
        text(tmp_path / "a.txt", stride=4),
        text(tmp_path / "a.txt", eval_windows=2),
    ]
    assert len({first, *(other.fingerprint() for other in others)}) == 5


def test_language_is_the_same_everywhere() -> None:
    """One seed gives one text, of which a shorter one is the beginning; another seed gives another."""
    assert language(60, 0) == b"le nizo zikagu samuat los desun. los saveve kegaten ten los "
    assert language(5000, 0)[:60] == language(60, 0)
    assert len(language(5000, 3)) == 5000
    assert language(60, 3) != language(60, 0)


def entropies(text: bytes, orders: int) -> list[float]:
    """Of the next byte given the k bytes before it, by counts [nats]."""
    found = []
    for k in range(orders):
        longer = Counter(text[i : i + k + 1] for i in range(len(text) - k))
        shorter = Counter(text[i : i + k] for i in range(len(text) - k))
        total = len(text) - k
        found.append(-sum(n * math.log(n / shorter[gram[:-1]]) for gram, n in longer.items()) / total)
    return found


def test_language_has_something_to_learn_at_every_length() -> None:
    """Letters follow from letters, a verb's ending from its subject, nouns from the topic."""
    content = language(200_000, 1)
    falls = entropies(content, 6)
    assert all(after < 0.95 * before for before, after in itertools.pairwise(falls)), falls
    words = [sentence.split() for sentence in content.decode().split(". ")]
    endings = {article: verb for article, _, verb in NUMBERS}
    verbs = [(w[0], next(x for x in w if x.endswith(("at", "ot")))) for w in words[1:-1]]
    assert len({article for article, _ in verbs}) == 2
    assert all(verb.endswith(endings[article] + "t") for article, verb in verbs)
    # Of two nouns in one paragraph, the second is more often the first than in two paragraphs.
    nouns = [
        [w.split()[-1].rstrip("n") for w in p.split(".") if w.strip()] for p in content.decode().split("\n")
    ]
    inside = [p[0] == p[3] for p in nouns if len(p) > 3]
    across = [p[0] == q[3] for p, q in itertools.pairwise(nouns) if len(p) > 3 and len(q) > 3]
    assert sum(inside) > 3 * sum(across) > 0


def test_library_is_source_of_python() -> None:
    """The real corpus holds this interpreter's own files, none of them tests or other packages."""
    content = library(400_000, 0)
    assert len(content) == 400_000
    assert Path(Counter.__init__.__code__.co_filename).read_bytes() in library(10**9, 0)
    made = text(corpus="python", length=50_000)
    assert made.chance < math.log(256)
    assert made.fingerprint() != text(length=50_000).fingerprint()


@pytest.mark.parametrize(
    ("content", "name", "constants", "words"),
    [
        (None, "a.txt", {}, r"a\.txt is missing; wanted a text"),
        (b"", "a.txt", {}, r"a\.txt is empty"),
        (
            b"abc" * 20,
            "a.txt",
            {},
            "has 60 tokens, of which 6 are for validation; wanted more than context, ",
        ),
        (b"abc", "a.bin", {"vocabulary": 9}, r"has 3 bytes; wanted tokens of two bytes each"),
        (b"\x01\x00\x09\x00", "a.bin", {"vocabulary": 9}, "holds token 9 at place 1; wanted numbers below"),
        (b"\x01\x00", "a.bin", {}, "needs its vocabulary"),
        (
            b"\x01\x00",
            "a.bin",
            {"vocabulary": 70_000},
            r"vocabulary is 70000; wanted a number in \[2, 65536\]",
        ),
        (b"abc", "a.txt", {"vocabulary": 9}, r"vocabulary is of \.bin files alone"),
        (b"abc", "a.txt", {"corpus": "python"}, "give one of them"),
        (b"\x01\x00", "a.bin", {"vocabulary": 9, "tokens": "t.json"}, "holds tokens already"),
    ],
)
def test_bad_files(
    content: bytes | None, name: str, constants: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """A text that cannot be used is named, with what is wanted."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        text(tmp_path / name, **constants)


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"corpus": "english"}, "unknown corpus 'english'; known: python, synthetic"),
        ({"context": 1}, "context is 1"),
        ({"z_loss": -1.0}, "z_loss is -1"),
        ({"stride": 0}, "stride is 0"),
        ({"eval_windows": 0}, "eval_windows is 0"),
    ],
)
def test_bad_constants(constants: dict[str, Any], words: str) -> None:
    """Constants out of range are named, with what is wanted."""
    with pytest.raises(ValueError, match=words):
        text(**constants)


def test_models_of_other_data_are_refused() -> None:
    """A network for tables or images says that it takes no tokens."""
    with pytest.raises(
        ValueError, match=r"the model 'mlp' does not make logits \[2, 64, 256\].*take model: llama"
    ):
        make_workload("text", "mlp")
