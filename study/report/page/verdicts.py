"""The claims as the page tells them: decided ones first, then the open ones, then what cannot be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis import Analysis
from study.claims.catalogue import CLAIMS
from study.claims.foresight import SEEDS, Outlook
from study.claims.sequence import CAP, FUTILE
from study.claims.specification import decided
from study.claims.verdicts import INCONCLUSIVE, NO_DIFFERENCE, REFUTED, SUPPORTED, Claim
from study.measures.estimate import bound_of, exponential
from study.report.claims_page import sentence
from study.report.outlook import LIMITS, takes
from study.report.page.intervals import ClaimBar, claim_bar
from study.report.page.wording import number, span

GLYPHS = {SUPPORTED: "✓", REFUTED: "✗", NO_DIFFERENCE: "=", INCONCLUSIVE: "?"}
"""Beside the words, so that no verdict is told by its colour alone."""
STYLES = {SUPPORTED: "supported", REFUTED: "refuted", NO_DIFFERENCE: "same", INCONCLUSIVE: "open"}


@dataclass(frozen=True)
class Verdict:
    """One claim with a number.

    Attributes:
        glyph, style: of its verdict. method: whom it is about. ended: why it gets no more seeds.
        estimate, interval, unit: as text. claimed: `> 0 decades`.
        sentence: the verdict in words. takes: what would decide it. limit: the same in a word or two.
    """

    claim: Claim
    glyph: str
    style: str
    ended: str
    setting: str
    estimate: str
    interval: str
    claimed: str
    bar: ClaimBar | None
    method: str
    sentence: str
    takes: str
    limit: str


@dataclass(frozen=True)
class Overview:
    """Verdicts by claim and setting.

    Attributes:
        names: of the settings, without what all of them have in common.
        rows: a claim's sentence, and for each setting the place of its verdict in the list, or None.
    """

    names: list[str]
    rows: list[tuple[str, list[int | None]]]


@dataclass(frozen=True)
class Verdicts:
    """All claims of a study.

    Attributes:
        overview: what they came to by claim and setting; None of a study that has one setting.
        counts: of verdicts, in words.
        unmeasured: what is missing, and the sentences that need it.
        absent: how many claims are about transforms that the study lacks, and which these are.
    """

    listed: list[Verdict]
    overview: Overview | None
    counts: list[tuple[str, str, str]]
    unmeasured: list[tuple[str, list[tuple[str, str]]]]
    absent: tuple[int, list[str]]

    @property
    def equal(self) -> bool:
        """Whether any picture shows what counts as no difference."""
        return any(one.bar is not None and one.bar.equal is not None for one in self.listed)


def verdicts(analysis: Analysis) -> Verdicts:
    """Every claim of the study."""
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    # What is decided comes first, and of the rest what is about the width of a region: most ask for that.
    ordered = sorted(measured, key=lambda claim: (not decided(claim), claim.unit != "decades"))
    counts = Counter(claim.verdict for claim in measured)
    needs: dict[str, dict[str, str]] = {}
    absent: dict[str, str] = {}
    rules, there = {**CLAIMS, **analysis.rules}, {one.method for one in analysis.landscapes}
    for claim in analysis.claims:
        if claim.estimate is None:
            method = rules[claim.id].method
            if method in there:
                needs.setdefault(claim.missing or claim.reason, {})[claim.id] = claim.claim
            else:
                absent[claim.id] = method
    return Verdicts(
        [verdict(analysis, claim) for claim in ordered],
        overview(measured, ordered),
        [(STYLES[word], GLYPHS[word], f"{counts[word]} {word}") for word in GLYPHS if counts[word]],
        [(what, list(claims.items())) for what, claims in needs.items()],
        (len(absent), list(dict.fromkeys(absent.values()))),
    )


def overview(measured: Sequence[Claim], ordered: Sequence[Claim]) -> Overview | None:
    """The claims about widths first, and the others in the catalogue's order."""
    settings = list(dict.fromkeys(claim.setting for claim in measured))
    if len(settings) < 2:
        return None
    place = {(claim.id, claim.setting): number for number, claim in enumerate(ordered)}
    sentences = {
        claim.id: claim.claim for claim in sorted(measured, key=lambda claim: claim.unit != "decades")
    }
    return Overview(
        without_common(settings),
        [(words, [place.get((name, one)) for one in settings]) for name, words in sentences.items()],
    )


def without_common(settings: Sequence[str]) -> list[str]:
    """Names of settings without the parts that all have; one that has nothing else keeps its name."""
    parts = [one.split(" · ") for one in settings]
    common = set.intersection(*map(set, parts))
    return [
        " · ".join(part for part in own if part not in common) or name
        for own, name in zip(parts, settings, strict=True)
    ]


def verdict(analysis: Analysis, claim: Claim) -> Verdict:
    """One claim with all that is said about it."""
    key = claim.id, claim.setting
    question = analysis.judgement.questions[key]
    shown = question.shown(claim.verdict)
    ratio = shown is not None and question.finding.turn(shown) is exponential
    expected = analysis.outlooks.get(key)
    bound = bound_of(lower=claim.lower_bound, upper=claim.upper_bound)
    side = "above" if claim.above else "below"
    unit = "" if claim.unit == "x" else f" {claim.unit}"
    return Verdict(
        claim,
        GLYPHS[claim.verdict],
        STYLES[claim.verdict],
        claim.standing if analysis.schedule.planned and claim.standing in (FUTILE, CAP) else "",
        claim.setting if len(analysis.evidence) > 1 else "",
        f"{bound}{number(claim.estimate)}{'×' if claim.unit == 'x' else ''}",
        span(claim.interval),
        f"{side} {number(claim.threshold)}{unit}",
        claim_bar(claim, ratio=ratio),
        {**CLAIMS, **analysis.rules}[claim.id].method,
        f"{sentence(claim)} {claim.reason[:1].upper()}{claim.reason[1:]}",
        needed(expected) if expected is not None else "",
        LIMITS[expected.missing] if expected is not None else "",
    )


def needed(expected: Outlook) -> str:
    """What would decide a claim: `104 seeds for “no difference” (against centralization)`."""
    enough = sorted((count, word) for word, count in expected.seeds.items() if count)
    # Elsewhere the verdict stands between the asterisks of Markdown, which this page is not.
    if expected.missing == SEEDS and expected.deviation is not None and enough:
        said = " or ".join(f"{count} seeds for “{word}”" for count, word in enough)
        return f"{said} ({expected.against})"
    return takes(expected)
