"""What each transform reached, and every measure of it, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.best import Best
from study.measures.catalogue import MEASURES
from study.measures.estimate import Estimate, Missing, bound_of
from study.measures.evidence import Evidence
from study.measures.regions import LR, WEIGHT_DECAY
from study.report.page.intervals import Bar, shared_bars
from study.report.page.wording import number, place, span, worded


@dataclass(frozen=True)
class Reached:
    """One transform: widths of its regions, its best cell, and its score, each with a picture.

    Attributes:
        trained, competitive, score: in words, with the picture; None for one that is missing.
        lr, weight_decay: of the best cell, in words.
    """

    name: str
    trained: tuple[str, Bar | None]
    competitive: tuple[str, Bar | None]
    score: tuple[str, Bar | None]
    lr: str
    weight_decay: str


def reached(evidence: Evidence, found: Sequence[Best], confidence: float) -> list[Reached]:
    """A row per transform, the widest region first."""
    kind = evidence.widest
    ordered = sorted(found, key=lambda one: -mean(getattr(one, kind)))
    columns = [
        shared_bars([one.trained for one in ordered], confidence),
        shared_bars([one.competitive for one in ordered], confidence),
        # Where no cell is better than the untrained network, no cell is the best, and has no score.
        shared_bars([scored(one) for one in ordered], confidence),
    ]
    return [
        Reached(
            one.case.landscape.title,
            (worded(one.trained, confidence), columns[0][k]),
            (worded(one.competitive, confidence), columns[1][k]),
            (worded(scored(one), confidence), columns[2][k]),
            at(one, LR, one.lr),
            at(one, WEIGHT_DECAY, one.weight_decay),
        )
        for k, one in enumerate(ordered)
    ]


def scored(one: Best) -> Estimate | Missing:
    """The score of a best cell."""
    return Missing("no cell is better than the untrained network") if one.lr is None else one.score


def mean(found: Estimate | Missing) -> float:
    """To sort by; what is missing comes last."""
    return found.mean if isinstance(found, Estimate) else -1.0


def at(one: Best, axis: str, value: float | None) -> str:
    """A value of the best cell, with a star where it is the last of its axis."""
    if value is None:
        return "–"
    return place(value) + "*" * any(border.axis == axis for border in one.borders)


@dataclass(frozen=True)
class Measures:
    """All measures of one setting.

    Attributes:
        rows: measure with its unit, and of each transform the number or a dash.
        reasons: why numbers are missing, by measure.
    """

    names: list[str]
    rows: list[tuple[str, str, list[str]]]
    reasons: list[tuple[str, str]]


def measures(entries: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Measures:
    """The table of one setting.

    Args:
        entries: of `regions.json`, one per transform. names: what the page calls each of them.
    """
    rows, reasons = [], []
    for name in MEASURES:
        found = [entry["measures"][name] for entry in entries]
        if any(one["estimate"] is not None for one in found):
            rows.append((name, found[0]["unit"], [in_words(one) for one in found]))
        missing = dict.fromkeys(one["reason"] for one in found if one["estimate"] is None)
        if missing:
            reasons.append((name, "; ".join(missing)))
    return Measures([names[entry["transform"]] for entry in entries], rows, reasons)


def in_words(value: Mapping[str, Any]) -> str:
    """An estimate of `regions.json` with its interval."""
    if value["estimate"] is None:
        return "–"
    bound = bound_of(lower=value["lower_bound"], upper=value["upper_bound"])
    return f"{bound}{number(value['estimate'])} {span(value['interval'])}".strip()


def of_setting(entries: Sequence[Mapping[str, Any]], key: tuple[str, str, str]) -> list[Mapping[str, Any]]:
    """The entries of `regions.json` that are about one setting."""
    return [
        entry
        for entry in entries
        if (entry["workload"], entry["optimizer"], entry.get("condition", "")) == key
    ]
