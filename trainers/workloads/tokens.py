"""Sequences of tokens, from bytes, from a file of numbers, or by a tokenizer of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

BYTES = "bytes"
"""The name of the tokens that need no tokenizer."""
CHUNK = 2**24
"""Tokens of a large file that are looked at together."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """A sequence of tokens.

    Attributes:
        ids: their numbers, in a narrow type; those of a large file stay on disk until they are read.
        vocabulary: how many different ones there may be.
    """

    ids: Tensor
    vocabulary: int


def of_bytes(text: bytes) -> Tokens:
    """Each byte is a token."""
    # A copy, because torch warns of memory that it must not write to.
    return Tokens(torch.frombuffer(bytearray(text), dtype=torch.uint8), 256)


def of_file(path: Path, vocabulary: int) -> Tokens:
    """Numbers of two bytes each, least byte first, as nanoGPT writes them.

    Raises:
        ValueError: the file is no whole number of them, or holds one beyond the vocabulary.
    """
    import numpy as np

    size = path.stat().st_size
    if size % 2:
        raise ValueError(f"{path} has {size} bytes; wanted tokens of two bytes each (uint16)")
    # Copy on write, because torch warns of memory that it must not write to.
    ids = torch.from_numpy(np.memmap(path, dtype="<u2", mode="c")) if size else torch.zeros(0)
    for at in range(0, len(ids), CHUNK):
        part = ids[at : at + CHUNK].int()
        largest = int(part.max())
        if largest >= vocabulary:
            place = at + int((part >= vocabulary).byte().argmax())
            raise ValueError(
                f"{path} holds token {int(ids[place])} at place {place}; wanted numbers below "
                f"the vocabulary, which is {vocabulary}"
            )
    return Tokens(ids, vocabulary)


def of_tokenizer(text: bytes, path: Path, source: str) -> Tokens:
    """A text as a tokenizer of Hugging Face's `tokenizers` splits it.

    Args:
        path: its JSON file.
        source: where the text is from, for messages.

    Raises:
        ValueError: the package, or the file, is missing, the file is no tokenizer, or the text is not UTF-8.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ValueError(
            f"{path} is a tokenizer, and the package tokenizers is not installed; "
            "install stability-study[tokens], or take tokens: bytes"
        ) from None
    if not path.is_file():
        raise ValueError(f"{path} is missing; wanted a tokenizer's JSON file as `tokens`, or bytes")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises plain exceptions
        raise ValueError(
            f"{path} is no tokenizer ({error}); wanted the JSON file of a `tokenizers.Tokenizer`"
        ) from None
    try:
        words = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{source} is not UTF-8 at byte {error.start}; a tokenizer needs text: convert it, "
            "or take tokens: bytes"
        ) from None
    ids = tokenizer.encode(words, add_special_tokens=False).ids
    return Tokens(torch.tensor(ids, dtype=torch.int32), tokenizer.get_vocab_size())
