"""Every number on the page is the analysis's own."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study.analysis import Analysis
from study.claims.verdicts import INCONCLUSIVE, Claim
from study.measures.dynamics import curve
from study.measures.estimate import Estimate
from study.report.page.cells import CURVE_BYTES, GAP, digits, quantised
from study.report.page.intervals import MARGIN, WIDTH, Axis, claim_bar
from study.report.page.wording import number, place, tick, worded
from study.report.pictures.shades import mean_metric
from tests.fabricated import WIDE, hill
from tests.study.report.page.studies import FALLING, RICH, Parsed, analysis_of, bare_page_of, page_of


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analysis_of(tmp_path_factory.mktemp("numbers"), WIDE, hill)


@pytest.fixture(scope="module")
def parsed(analysis: Analysis) -> Parsed:
    return Parsed(page_of(analysis))


def test_cells_are_the_records(analysis: Analysis, parsed: Parsed) -> None:
    """What the script reads of a cell is what its record holds, with the run that shows it."""
    (setting,) = parsed.data["settings"]
    for landscape, panel in zip(analysis.pictured, setting["panels"], strict=True):
        assert panel["name"] == landscape.transform
        assert landscape.record_SWL is not None
        runs = base64.b64decode(panel["runs"])
        for k, record in enumerate(landscape.record_SWL.ravel()):
            assert parsed.data["states"][int(panel["outcome"][k])] == record.outcome
            # A map shows no score of a cell that diverged.
            assert panel["metric"][k] == (rounded(record.metric_final) if record.finished else None)
            assert panel["loss"][k] == rounded(record.loss_final)
            assert panel["step"][k] == record.diverged_step
            assert panel["reasons"][panel["reason"][k]] == (record.reason or "")
            assert runs[16 * k : 16 * k + 16].hex() == analysis.runs[record.key]


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def test_maps_show_the_means(analysis: Analysis, parsed: Parsed) -> None:
    """A map's table and the data behind it have the mean over seeds that the pictures are drawn from."""
    (setting,) = parsed.data["settings"]
    tables = [one for one in parsed.of("table") if any(outer.has("map") for outer in one.inside)]
    score = setting["views"][0]
    for k, landscape in enumerate(analysis.pictured):
        mean_WL = np.asarray(mean_metric(landscape))
        assert score["values"][k] == digits(mean_WL)
        rows = [one for one in parsed.of("tr") if tables[k] in one.inside][1:]
        for row, mean_L in zip(rows, reversed(mean_WL.tolist()), strict=True):
            shown = [one.text for one in row.children if one.tag == "td"]
            expected = ["diverged" if np.isnan(mean) else number(mean) for mean in mean_L]
            assert [text.split(" (")[0] for text in shown] == expected


def test_letters_paint_each_cell_once(analysis: Analysis, parsed: Parsed) -> None:
    """The paths of a map cover each cell exactly once, in the colour of its number."""
    (setting,) = parsed.data["settings"]
    for k, holder in enumerate(one for one in parsed.of("g", "cells")):
        painted: dict[tuple[int, int], str] = {}
        for path in holder.children:
            letter = (path.attributes["class"] or "")[1]
            for x, y, length in re.findall(r"M(\d+) ([\d.]+)h(\d+)v1h-\d+z", path.attributes["d"] or ""):
                row = setting["tops"].index(float(y))
                for column in range(int(x), int(x) + int(length)):
                    assert (row, column) not in painted
                    painted[row, column] = letter
        letters = setting["views"][0]["letters"][k]
        expected = {
            divmod(at, setting["columns"]): letter
            for at, letter in enumerate(letters)
            if letter.islower() or letter.isdigit()
        }
        assert painted == expected


def test_claims_are_the_ledgers(analysis: Analysis, parsed: Parsed) -> None:
    """Each measured claim has its sentence, verdict, number, interval, seeds and what limits it."""
    shown = {one.text: one for one in parsed.of("li", "verdict")}
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    assert measured
    assert len(shown) == len(measured)
    for claim in measured:
        (text,) = [words for words in shown if f"Claim {claim.id}." in words]
        assert claim.verdict in text
        assert claim.claim[1:] in text
        assert number(claim.estimate) in text
        assert f"n = {claim.n_seeds} seeds" in text
        assert claim.reason[1:] in text
        for end in claim.interval or ():
            assert number(end) in text
        assert (claim.id, claim.setting) not in analysis.outlooks or "limited by" in text
    counted = parsed.one("p", "tally").text
    for verdict in {claim.verdict for claim in measured}:
        assert f"{sum(claim.verdict == verdict for claim in measured)} {verdict}" in counted


def test_an_overview_leads_to_each_verdict_once(tmp_path: Path) -> None:
    """By claim and setting, in the words of the list that it leads to; one setting has no overview."""
    found = analysis_of(tmp_path, RICH, hill, dynamics=FALLING)
    page = Parsed(page_of(found))
    (table,) = page.of("table", "overview")
    assert [one.text for one in page.of("th") if table in one.inside][:3] == ["claim", "adamw", "sgd"]
    links = {one.attributes["href"]: one.text for one in page.of("a") if table in one.inside}
    badges = {
        f"#{listed.attributes['id']}": badge.text
        for listed in page.of("li", "verdict")
        for badge in page.of("span", "badge")
        if listed in badge.inside
    }
    assert links == badges
    measured = [claim for claim in found.claims if claim.estimate is not None]
    assert len(links) == len(measured) > len({claim.id for claim in measured})
    assert not Parsed(page_of(analysis_of(tmp_path, WIDE, hill))).of("table", "overview")


def test_widths_are_the_measures(analysis: Analysis, parsed: Parsed) -> None:
    """Each transform's row has its widths, best cell and score, and the table of measures all the rest."""
    table = parsed.one("table", "reached")
    rows = [one for one in parsed.of("tr") if table in one.inside][1:]
    found = {row.children[0].text: [cell.text.strip() for cell in row.children[1:]] for row in rows}
    for one in analysis.reached:
        cells = found[one.case.landscape.transform]
        assert cells[0] == worded(one.trained, 0.95)
        assert cells[1] == worded(one.competitive, 0.95)
        assert one.lr is not None
        assert cells[2].rstrip("*") == place(one.lr)
        assert cells[4] == worded(one.score, 0.95)
    widths = {
        one.case.landscape.transform: one.trained.mean
        for one in analysis.reached
        if isinstance(one.trained, Estimate)
    }
    assert list(found) == sorted(found, key=lambda name: -widths[name])


def claim(**changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": "a", "claim": "b", "source": "c", "setting": "d", "measure": "m", "against": "against none",
        "above": True, "unit": "decades", "estimate": 0.5, "interval": (-0.5, 1.5), "lower_bound": False,
        "upper_bound": False, "confidence": 0.95, "n_seeds": 3, "threshold": 0.0,
        "verdict": INCONCLUSIVE, "reason": "", "cells": (), "indifference": 0.1,
    }  # fmt: skip
    return Claim(**values | changes)


def test_pictures_of_intervals_are_to_scale() -> None:
    """Distances in an interval's picture are in proportion to its numbers, of ratios to their logarithms."""
    drawn = claim_bar(claim(), ratio=False)
    assert drawn is not None
    assert drawn.bar.ends is not None
    low, high = drawn.bar.ends
    assert drawn.bar.at == pytest.approx((low + high) / 2, abs=0.1)
    assert (drawn.threshold - low) / (high - low) == pytest.approx(0.25, abs=0.01)
    assert drawn.claimed == (drawn.threshold, WIDTH)
    assert drawn.equal is not None
    assert drawn.equal[1] - drawn.equal[0] == pytest.approx((high - low) / 10, abs=0.2)
    assert min(low, drawn.equal[0]) > MARGIN
    ratio = claim_bar(claim(estimate=1.0, interval=(0.5, 2.0), threshold=1.0, unit="x"), ratio=True)
    assert ratio is not None
    assert ratio.bar.ends is not None
    assert ratio.bar.at - ratio.bar.ends[0] == pytest.approx(ratio.bar.ends[1] - ratio.bar.at, abs=0.1)
    below = claim_bar(claim(above=False, upper_bound=True), ratio=False)
    assert below is not None
    assert below.claimed == (0.0, below.threshold)
    assert below.bar.less
    assert not below.bar.more
    assert claim_bar(claim(estimate=None), ratio=False) is None
    assert Axis(0, 1).x(7) == WIDTH - MARGIN


def test_curves_keep_their_numbers(analysis: Analysis, parsed: Parsed) -> None:
    """A curve of the page is the recorded one, to a share of 1/65,000 of all that is drawn with it."""
    (setting,) = parsed.data["settings"]
    for landscape, panel in zip(analysis.pictured, setting["panels"], strict=True):
        for name, index in (("loss", 1), ("metric", 2)):
            assert landscape.record_SWL is not None
            steps, value_SWLK = curve(landscape.record_SWL, index)
            assert panel["curves"]["steps"] == list(steps)
            np.testing.assert_allclose(
                decoded(panel["curves"][name]), value_SWLK.ravel(), rtol=1e-3, atol=1e-4
            )


def decoded(found: dict[str, Any]) -> np.ndarray:
    whole = np.frombuffer(base64.b64decode(found["numbers"]), dtype="<u2").astype(float)
    value = found["low"] + whole / (GAP - 1) * found["width"]
    return np.where(whole == GAP, np.nan, np.exp(value) if found["log"] else value)


def test_curves_of_many_decades_and_gaps() -> None:
    """Losses from 1e-9 to 1e9 keep three digits, infinities and gaps are gaps, and one number is itself."""
    values = np.array([1e-9, 3e-3, np.nan, 2.3, np.inf, 1e9])
    expected = np.where(np.isfinite(values), values, np.nan)
    np.testing.assert_allclose(decoded(quantised(values)), expected, rtol=1e-3)
    np.testing.assert_allclose(decoded(quantised(np.array([0.25, np.nan]))), [0.25, np.nan])
    assert quantised(np.array([np.nan])) == {}


@pytest.mark.parametrize(
    ("value", "words", "at_a_tick"),
    [
        (0.0, "0", "0"),
        (1e-3, "10⁻³", "10⁻³"),
        (0.1, "0.1", "10⁻¹"),
        (0.0316227766, "0.0316", "0.0316"),
        (3.16227766e-05, "3.16×10⁻⁵", "3.16×10⁻⁵"),
        (10.0, "10", "10¹"),
    ],
)
def test_places(value: float, words: str, at_a_tick: str) -> None:
    """Values of an axis are written as people write them, and at ticks as powers of ten."""
    assert (place(value), tick(value)) == (words, at_a_tick)


SIZES = {
    "2,000 cells": (7, 14, 7, 3, 1_000_000),
    "20,000 cells": (4, 50, 25, 4, 5_000_000),
    "100,000 cells": (2, 200, 125, 2, 16_000_000),
}
# Making so many records takes most of ten seconds.
LONG = {"100,000 cells": pytest.mark.long}


@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG.get(name, ())) for name in SIZES])
def test_sizes(name: str, tmp_path: Path) -> None:
    """Under 1 MB for 2,000 cells and under 5 MB for 20,000; of 100,000 cells there is still a page."""
    transforms, columns, rows, seeds, most = SIZES[name]
    methods = ["none", "unit_norm", "autoscale", "zscore", "centralization", "clip_norm", "zclip"]
    text = (
        WIDE.replace("[none, unit_norm, autoscale]", f"[{', '.join(methods[:transforms])}]")
        .replace("seeds: 3", f"seeds: {seeds}")
        .replace("[1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]", str(np.logspace(-5, 1, columns).tolist()))
        .replace("[1e-3, 1e-2, 1e-1]", str(np.logspace(-4, 0, rows).tolist()))
    )
    analysis = analysis_of(tmp_path, text, hill)
    assert len(analysis.plan.cells) >= int(name.split()[0].replace(",", ""))
    page = bare_page_of(analysis)
    assert len(page.encode()) < most
    large = len(analysis.plan.cells) * 16 > CURVE_BYTES
    assert ("would make this page too large" in page) == large
    assert page.count('class="heat"') == transforms
