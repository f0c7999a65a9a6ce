"""A synthetic language of a seed, the same on every machine, with something to learn at every length."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.workloads.base import derived_seed

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
TOPICS = 12
"""Paragraphs are about one topic each, which decides most of their nouns."""
NOUNS, VERBS, ADJECTIVES = 240, 120, 90
"""Stems of each kind; a topic has NOUNS / TOPICS nouns of its own."""
SENTENCES = 6
"""Sentences of a paragraph."""
OF_TOPIC = 0.8
"""Share of nouns that are the topic's."""
NUMBERS = (("le", "", "a"), ("los", "n", "o"))
"""Article, ending of a noun and ending of a verb: of one and of many."""
PLACES = ("sur", "pre", "con", "ten")
"""What stands between a noun and a second one."""


class Draws:
    """Numbers of a seed, by arithmetic that is the same in every release of torch."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(derived_seed(seed, "synthetic language"))

    def uniform(self, *shape: int) -> Tensor:
        """Numbers of [0, 1), evenly distributed."""
        return torch.rand(shape, generator=self._generator, dtype=torch.float64)

    def below(self, size: int, *shape: int) -> Tensor:
        """Whole numbers of [0, size), all equally frequent."""
        return (self.uniform(*shape) * size).long()

    def ranks(self, size: int, *shape: int) -> Tensor:
        """Whole numbers of [0, size); rank r has a frequency that is proportional to 1 / (r + 1) (Zipf)."""
        edges = (1 / torch.arange(1, size + 1, dtype=torch.float64)).cumsum(0)
        return torch.searchsorted(edges / edges[-1], self.uniform(*shape)).clamp(max=size - 1)


def stems(draws: Draws, count: int) -> list[str]:
    """Different words of two or three syllables, each a consonant and a vowel."""
    found: dict[str, None] = {}
    while len(found) < count:
        first, second = draws.below(len(CONSONANTS), 3).tolist(), draws.below(len(VOWELS), 3).tolist()
        syllables = 2 + int(draws.below(2, 1))
        word = "".join(CONSONANTS[c] + VOWELS[v] for c, v in zip(first, second, strict=True))
        found[word[: 2 * syllables]] = None
    return list(found)


def language(length: int, seed: int) -> bytes:
    """The first `length` bytes of the language of a seed.

    Its words are Zipf distributed. A sentence has a subject, perhaps something about it, a verb and an
    object:

        article [adjective] noun [place article noun] verb article noun .

    Articles, nouns and verbs have endings of one or of many. The verb's agrees with the subject, whatever
    stands between them. The nouns of a paragraph are mostly of one topic. So letters follow from letters,
    words from words, a verb's ending from a word that is some words away, and nouns from sentences before.

    Args:
        length: [bytes].
        seed: decides words and sentences.
    """
    draws = Draws(seed)
    nouns, verbs, adjectives = (stems(draws, count) for count in (NOUNS, VERBS, ADJECTIVES))
    parts: list[str] = []
    size = 0
    while size < length:
        text = paragraphs(draws, nouns, verbs, adjectives)
        parts.append(text)
        size += len(text)
    return "".join(parts).encode("ascii")[:length]


def paragraphs(draws: Draws, nouns: list[str], verbs: list[str], adjectives: list[str]) -> str:
    """Some hundred paragraphs; drawing them together is quick."""
    n, own = 200, NOUNS // TOPICS
    topic = draws.below(TOPICS, n, 1, 1).expand(n, SENTENCES, 3)
    of_topic = draws.uniform(n, SENTENCES, 3) < OF_TOPIC
    noun = torch.where(
        of_topic, topic * own + draws.ranks(own, n, SENTENCES, 3), draws.ranks(NOUNS, n, SENTENCES, 3)
    ).tolist()
    many = draws.below(2, n, SENTENCES, 3).tolist()
    verb = draws.ranks(VERBS, n, SENTENCES).tolist()
    adjective = draws.ranks(2 * ADJECTIVES, n, SENTENCES).tolist()
    place = draws.below(2 * len(PLACES), n, SENTENCES).tolist()
    lines = []
    for k in range(n):
        for s in range(SENTENCES):
            groups = []
            for one, number in zip(noun[k][s], many[k][s], strict=True):
                article, plural, _ = NUMBERS[number]
                groups.append((article, nouns[one] + plural))
            words = [groups[0][0]]
            if adjective[k][s] < ADJECTIVES:
                words.append(adjectives[adjective[k][s]])
            words.append(groups[0][1])
            if place[k][s] < len(PLACES):
                words += [PLACES[place[k][s]], *groups[1]]
            words += [verbs[verb[k][s]] + NUMBERS[many[k][s][0]][2] + "t", *groups[2]]
            lines.append(" ".join(words) + (".\n" if s == SENTENCES - 1 else ". "))
    return "".join(lines)
