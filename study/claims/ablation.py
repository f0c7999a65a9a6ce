"""What leaving out a part of the usual recipe costs a method, and what it costs others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from study.claims.finding import Comparison, either
from study.measures.estimate import Estimate, difference, pooled
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.measures.regions import width_difference
from study.measures.tuning import tuned_score
from study.spec.indifference import Indifference


@dataclass(frozen=True)
class Pair:
    """A method's evidence without a part of the recipe and with it."""

    without: Evidence
    whole: Evidence
    transform: str

    def landscape(self, of: Evidence) -> Landscape:
        """The transform's landscape in that setting."""
        return of.landscapes[self.transform]

    @property
    def landscapes(self) -> tuple[Landscape, Landscape]:
        return self.landscape(self.without), self.landscape(self.whole)

    @cached_property
    def cost(self) -> Estimate:
        """By how much the tuned score is worse without [units of the metric, worse is positive]."""
        without, whole = map(tuned_score, self.landscapes)
        return difference(whole, without)

    @cached_property
    def narrower(self) -> Estimate | None:
        """By how much the trained region is shorter along lr without [decades]."""
        without, whole = (one.regions[self.transform, "trained", "own"] for one in (self.without, self.whole))
        return width_difference(whole, without)

    @property
    def width(self) -> float:
        """Of the trained region with it [decades]."""
        return self.whole.regions[self.transform, "trained", "own"].lr_width.mean

    @property
    def scores(self) -> str:
        """Both tuned scores in words, as the metric has them."""
        without, whole = (one.sign * tuned_score(one).mean for one in self.landscapes)
        return f"{without:.4g} without and {whole:.4g} with"


@dataclass(frozen=True)
class Apart:
    """Differences of differences: what a method loses less what each of some others loses.

    Attributes:
        score, width: by transform of the other, each with the spread of all of them as its prior.
    """

    score: Mapping[str, Estimate]
    width: Mapping[str, Estimate]

    @classmethod
    def of(cls, mine: Pair, others: Sequence[Pair]) -> Apart:
        """The differences of one transform's costs to those of others, with spreads pooled."""
        score = {one.transform: difference(mine.cost, one.cost) for one in others}
        own = mine.narrower
        width = {
            one.transform: difference(own, theirs)
            for one in others
            if own is not None and (theirs := one.narrower) is not None
        }
        return cls(pooled(score), pooled(width) if width else width)


def kept(mine: Pair, part: str, ratio: float, slight: float) -> Iterator[Comparison]:
    """That tuned score and width without are not worse than with, but for less than anybody would act on."""
    yield Comparison(f"{part} in tuned score", mine.cost, slight, False, mine.scores, itself=True)
    narrower = mine.narrower
    note = f"of {mine.width:.3g} decades" if narrower else "nothing is trained at any weight decay"
    limit = ratio * mine.width
    place = f"{part} in lr width"
    yield Comparison(place, narrower, limit, False, note, unit="decades", itself=True)


def merit(apart: Apart, theirs: Pair, against: str, ratio: float, slight: float) -> Comparison:
    """That a method loses less than the baseline, in score or in width."""
    score = Comparison(
        f"{against}, in tuned score",
        apart.score[theirs.transform],
        0.0,
        False,
        f"the baseline {theirs.scores}",
        indifference=slight,
    )
    found = apart.width.get(theirs.transform)
    width = Comparison(
        f"{against}, in lr width",
        found,
        0.0,
        False,
        "" if found else "one of them is trained nowhere",
        unit="decades",
        indifference=ratio * theirs.width,
    )
    return either(score, width)


def needed(theirs: Pair, part: str, ratio: float, slight: float) -> Comparison:
    """That the baseline pays for training without, in score or in width: else there is nothing to spare."""
    place = f"the baseline's own training with {part}"
    narrower = theirs.narrower
    score = Comparison(
        f"{place}, in tuned score", theirs.cost, 0.0, True, theirs.scores, indifference=slight, itself=True
    )
    width = Comparison(
        f"{place}, in lr width",
        narrower,
        0.0,
        True,
        "" if narrower else "it is trained nowhere",
        unit="decades",
        indifference=ratio * theirs.width,
        itself=True,
    )
    return either(score, width)


def smallest(indifference: Indifference, landscape: Landscape) -> float | None:
    """The smallest difference of scores that matters [metric]; None where the study names none for it."""
    if landscape.metric_name == "accuracy":
        return indifference.accuracy
    return None if landscape.higher_is_better else indifference.loss
