"""Claims over several studies, as a table and as JSON."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from study.claims import Comparison, Estimate, Finding
from study.claims.generality import Verdicts
from study.report.plain.generality import generality_values
from study.report.terminal.generality import generality_table
from tests.study.claims.asking import TASKS, asked, exact, judged

STUDIES, SILENT = ["one", "two"], ["zscore-amplifies"]
RULES = {"one": [], "two": ["The rules of verdicts were changed."]}


@pytest.fixture
def found() -> Verdicts:
    """A claim that holds, one that is broken, and one that was asked of the same cells twice."""
    return judged(
        [
            *(asked(mean, task) for mean, task in zip((1.0, 1.2, 0.8), TASKS, strict=False)),
            *(asked(exact(-1.0), task, name="stabilizer-keeps-whole-direction") for task in TASKS[:2]),
            asked(1.0, name="plug-in", said="no difference", own=["a"]),
            asked(1.0, name="plug-in", source=1, own=["a"]),
        ]
    )


def printed(found: Verdicts, width: int) -> list[str]:
    stream = StringIO()
    Console(file=stream, width=width).print(generality_table(found, STUDIES, SILENT, RULES), highlight=False)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_table_fits(found: Verdicts) -> None:
    """At 100 columns no word is cut, and ids, verdicts and numbers stay whole."""
    lines = printed(found, 100)
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert "…" not in text
    assert "inconclusive\n" in text
    for words in (
        "stabilizer-keeps-whole-direction",
        "  3 inconclusive",
        "  1 no difference",
        "broken in 2 of 6 runs",
        "against none",
        "claimed > 0",
        "supported",
    ):
        assert words in text


def test_the_lines_below(found: Verdicts) -> None:
    """Reasons, the meaning of every column, the tasks, what was not counted, and what has no number."""
    text = " ".join(" ".join(printed(found, 100)).split())
    for words in (
        "stabilizer-widens-lr: supported Against none: mean over 3 tasks 1 [0.503, 1.5] decades (95%)",
        "In general means tasks like these: adam; adamw; sgd.",
        "Studies whose rules are not those from the start: two: The rules of verdicts were changed.",
        "95% bootstrap intervals over seeds within settings, 2,000 draws",
        "corrected for 1 claim (Bonferroni)",
        "Not counted again: study1: w · adamw, which has cells of study0: w · adamw",
        "Without a number in these studies: zscore-amplifies",
    ):
        assert words in text, text


def test_a_bound_is_said() -> None:
    """Where regions touch the border of the grid, the effect is only a bound, and says so."""
    one = Comparison("none", Estimate((1.0, 1.1, 1.2), upper_bound=True), 0.0, above=True)
    found = judged([asked(Finding("m", "decades", (one,)), task) for task in TASKS[:3]])
    lines = printed(found, 100)
    assert any("≤ 1.1 [" in line for line in lines[:6])


def test_nothing_has_a_number() -> None:
    """No table without rows."""
    assert printed(judged([]), 100)[:1] == ["No claim has a number in one, two."]


def test_json(found: Verdicts) -> None:
    """What the table shows is there in full precision; what does not exist is null."""
    values = json.loads(
        json.dumps(generality_values(found, [("one", Path("home"), [])], SILENT), allow_nan=False)
    )
    assert list(values) == [
        *("studies", "confidence", "bootstrap_draws", "corrected_for"),
        *("claims", "repeated", "without_a_number"),
    ]
    by_id = {one["id"]: one for one in values["claims"]}
    wide = by_id["stabilizer-widens-lr"]
    assert wide["here"]["verdicts"] == {"inconclusive": 3}
    assert wide["here"]["settings"][0]["task"] == "sgd"
    assert (wide["in_general"]["verdict"], wide["in_general"]["n_tasks"]) == ("supported", 3)
    (comparison,) = wide["comparisons"]
    assert comparison["mean_over_tasks"] == pytest.approx(1.0)
    assert comparison["effect"]["interval"][0] < comparison["effect"]["estimate"] == pytest.approx(1.0)
    assert comparison["share_on_claims_side"] == {"estimate": 1.0, "interval": [1.0, 1.0]}
    broken = by_id["stabilizer-keeps-whole-direction"]["comparisons"][0]
    assert (broken["exact"], broken["broken_runs"], broken["effect"]) == (True, 2, None)
    assert broken["broken_in"] == ["study0: w · sgd", "study0: w · adam"]
    assert values["repeated"][0]["left_out"] == {"study": "study1", "setting": "w · adamw"}
    assert values["studies"] == [{"study": "one", "home": "home", "rules": []}]
    assert values["without_a_number"] == SILENT
