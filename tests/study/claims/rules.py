"""Claims of a user's own, for the tests of this room."""

from __future__ import annotations

from study.claims import Comparison, Evidence, Finding, Landscape, Rule, keys_of, ratio


def wider(evidence: Evidence, own: Landscape) -> Finding:
    """Ratio of trained lr widths to the baseline's."""
    (base,) = evidence.of("none")
    mine, theirs = (evidence.regions[one.transform, "trained", "own"].lr_width for one in (own, base))
    found = Comparison("none", ratio(mine, theirs), 0.0, above=True, note="" if mine.mean else "empty")
    return Finding("ratio of trained lr widths", "x", (found,), ratio=True, keys=keys_of([own, base]))


WIDER = Rule("it trains over more learning rates", "this test", "unit_norm", wider)
