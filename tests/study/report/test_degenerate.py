"""Studies that are too small, too wild or too tame: every command answers in words.

Never with a crash, a NaN or an empty picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from search_spaces import Cell
from tests.command import answer, study
from tests.fabricated import WIDE, Score, fabricate, hill
from tests.study.report.pictures import inked

LRS, DECAYS = "[1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]", "[1e-3, 1e-2, 1e-1]"


@dataclass(frozen=True)
class Case:
    """A degenerate study, and words that its analysis must contain."""

    text: str
    score: Score = hill
    words: str = ""
    skip: Callable[[Cell], bool] = lambda cell: False
    code: int = 0


CASES = {
    "one seed": Case(
        WIDE.replace("seeds: 3", "seeds: 1"), words="1 of 1 seeds are complete and a verdict needs at least 3"
    ),
    "two seeds": Case(WIDE.replace("seeds: 3", "seeds: 2"), words="needs at least 3"),
    "a single lr": Case(
        WIDE.replace(LRS, "[1e-2]"), words="needs at least two learning rates; the study has 1"
    ),
    "one weight decay": Case(
        WIDE.replace(DECAYS, "[1e-2]"), words="needs at least two weight decays above 0; the study has 1"
    ),
    "weight decay 0 only": Case(
        WIDE.replace(DECAYS, "[0]"), words="needs at least two weight decays above 0; the study has 0"
    ),
    "weight decay 0 beside others": Case(WIDE.replace(DECAYS, "[0, 1e-3, 1e-2, 1e-1]")),
    "one cell": Case(
        WIDE.replace(DECAYS, "[1e-2]").replace(LRS, "[1e-2]").replace("seeds: 3", "seeds: 1"),
        words="needs at least two learning rates",
    ),
    "everything diverged": Case(
        WIDE, score=lambda cell: None, words="needs a competitive cell at every seed"
    ),
    "nothing diverged": Case(WIDE, score=lambda cell: 0.9, words="≥"),
    "one transform diverged everywhere": Case(
        WIDE, score=lambda cell: None if cell.transform == "none" else hill(cell)
    ),
    "nothing learned": Case(WIDE, score=lambda cell: 0.1),
    "the reference transform missing": Case(
        WIDE.replace("[none, unit_norm, autoscale]", "[clip_norm, unit_norm, autoscale]"),
        words="the baseline none",
    ),
    "nothing stored": Case(WIDE, skip=lambda cell: True, code=3, words="nothing is stored"),
    "no seed complete": Case(WIDE, skip=lambda cell: cell.lr == 1, code=3, words="no seed is complete yet"),
    "a loss without a number": Case(WIDE, score=lambda cell: float("inf") if cell.lr > 0.05 else hill(cell)),
}


@pytest.mark.usefixtures("read_once")
@pytest.mark.parametrize("name", CASES)
def test_answers_in_words(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Analysing, exporting and comparing end with 0, or 3 where cells are missing; of nothing is no export.

    JSON has no NaN, a missing number has words in its place, and pictures have ink.
    """
    case, spec, home, out = CASES[name], tmp_path / "s.yaml", tmp_path / "home", tmp_path / "out"
    spec.write_text(case.text)
    fabricate(spec, home, lambda cell: finite(case.score(cell)), skip=case.skip)
    where = (str(spec), "--home", str(home))
    assert study("analyse", *where, "--measures") == case.code
    said = capsys.readouterr().out
    code, analysed = answer(capsys, "analyse", *where)
    assert code == case.code
    assert isinstance(analysed, dict)
    reasons = [claim["reason"] for claim in analysed["claims"]]
    assert all(reasons)
    assert case.words in " ".join(said.split()) or case.words in " ".join(reasons)
    bare = said.lower().replace("[", " ").replace("]", " ").replace(",", " ")
    assert not {"nan", "inf"} & set(bare.split())
    for entry in analysed["regions"]:
        for measure, found in entry["measures"].items():
            assert (found["estimate"] is not None) or found["reason"], measure
    # Of nothing there are no files: that is wrong input, and makes no folder.
    nothing = name == "nothing stored"
    assert answer(capsys, "export", *where, "--out", str(out))[0] == (2 if nothing else case.code)
    assert out.exists() != nothing
    for file in () if nothing else ("regions.json", "claims.json", "provenance.json"):
        json.loads((out / file).read_text(), parse_constant=lambda value: pytest.fail(f"{value} in a file"))
    transforms = ("clip_norm" if "clip_norm" in case.text else "none", "unit_norm")
    code, compared = answer(
        capsys, "compare", str(spec), *transforms, "--home", str(home), "--out", str(out / "compared")
    )
    assert code == case.code
    assert isinstance(compared, dict)
    for found in compared["comparisons"]:
        for measure, one in found["measures"].items():
            assert one["difference"]["estimate"] is not None or one["difference"]["reason"], measure
    for picture in out.rglob("*.png"):
        assert inked(picture), picture
    assert nothing or list((out / "heatmaps").glob("*.png"))
    assert bool(list((out / "compared").glob("*.png"))) == any(
        found["seeds"] for found in compared["comparisons"]
    )


def finite(score: float | None) -> float | None:
    """A score, or None where it is no number: a trainer calls such a cell diverged."""
    return score if score is not None and np.isfinite(score) else None


def test_weight_decay_zero_is_drawn_apart() -> None:
    """The row of weight decay 0 has a distance from the others, and a border of its own."""
    from matplotlib.figure import Figure

    from study.report.pictures.geometry import APART, bottoms
    from study.report.pictures.heatmaps import outline
    from tests.planting import planted

    base = planted(-3.1, -0.9)
    landscape = type(base)(**{**base.__dict__, "weight_decay": (0.0, *base.weight_decay[1:])})
    assert bottoms(landscape).tolist() == [0, 1 + APART, 2 + APART, 3 + APART]
    panel = Figure().subplots()
    outline(panel, landscape, np.ones((4, len(base.lr)), dtype=bool), "trained")
    heights = {float(y) for line in panel.collections[0].get_segments() for _, y in line}
    assert {0.0, 1.0, 1 + APART, 4 + APART} <= heights
    assert not any(1.0 < y < 1 + APART for y in heights)
