"""Colours that can be read: by anybody, in the dark, in grey, and where methods differ."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from study.report.page.charts import Line, chart, names, round_numbers
from study.report.page.report_page import asset
from study.report.page.scale import LEVELS, Scale, channels, ramp


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    parts = np.array(channels(colour)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_grow_lighter() -> None:
    """Every colour is lighter than the one before, so that grey prints keep the order."""
    found = [luminance(colour) for colour in ramp()]
    assert len(found) == LEVELS
    assert all(a < b for a, b in itertools.pairwise(found))


def test_where_methods_differ_colours_differ() -> None:
    """Of an accuracy from 0.1 to 1, 0.90, 0.94 and 0.98 are many colours apart, and the order is kept."""
    scale = Scale(0.1, 1.0, "shortfall")
    levels = scale.levels(np.array([0.1, 0.5, 0.9, 0.94, 0.98, 1.0, np.nan])).tolist()
    assert levels[:6] == sorted(levels[:6])
    assert levels[3] - levels[2] >= 2
    assert levels[4] - levels[3] >= 3
    assert levels[0] == 0
    assert levels[5] == LEVELS - 1
    assert levels[6] == -1


def test_scales_of_what_falls() -> None:
    """A loss has its best at the light end, and a cell far worse than untrained changes no other colour."""
    scale = Scale(2.3, 0.01, "log")
    assert scale.places(np.array([2.3, 0.01, 1e9])).tolist() == pytest.approx([0, 1, 0])
    assert [value for _, value in scale.ticks][::4] == pytest.approx([2.3, 0.01])
    assert [where for where, _ in scale.ticks] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def themes() -> dict[str, dict[str, str]]:
    """The variables of the style, in light and dark."""
    style = asset("page.css")
    blocks = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)\b", block)) for block in blocks[:2]]
    return {"light": found[0], "dark": found[0] | found[1]}


def whole(colour: str) -> str:
    return "#" + "".join(2 * one for one in colour[1:]) if len(colour) == 4 else colour


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme: str) -> None:
    """Words have a contrast of 4.5 to their ground and marks of 3, as WCAG 2.2 AA asks."""
    colours = {name: whole(colour) for name, colour in themes()[theme].items()}
    for ground in ("paper", "raised"):
        for name in ("ink", "soft", "accent", "supported", "refuted", "same"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for name in ("strong", "equal"):
            assert contrast(colours[name], colours[ground]) >= 3, (name, ground)


def test_lines_have_gaps_and_single_points() -> None:
    """Where a line has no number it has a gap, and a single number between gaps is a point."""
    nan = np.nan
    mean = np.array([0.1, 0.2, nan, 0.4, nan, 0.1, 0.3])
    found = chart([Line("a", np.arange(7.0), mean, mean, mean)], None)
    assert found is not None
    (line,) = found.lines
    assert line.mean.count("M") == 2
    assert line.dots.count("M") == 1
    assert chart([Line("a", np.arange(2.0), *3 * (np.full(2, nan),))], None) is None
    assert chart([], None) is None


def test_round_numbers() -> None:
    """Ticks are round, lie inside, and are three to six."""
    for low, high in ((0.0, 1.0), (0.913, 0.982), (-3.0, 7.0), (0.0, 200.0), (1e-9, 3e-9)):
        found = round_numbers(low, high)
        assert 3 <= len(found) <= 6
        assert min(found) >= low - 1e-12
        assert max(found) <= high + 1e-9 * abs(high)


def test_a_flat_line_has_an_axis() -> None:
    """Equal numbers that differ by rounding have an axis around them."""
    mean = np.array([0.1, 0.1 + 1e-17, 0.1 - 2e-17])
    found = chart([Line("a", np.arange(3.0), mean, mean, mean)], None)
    assert found is not None
    assert len({words for _, words in found.y_ticks}) == len(found.y_ticks) >= 2


def test_ticks_can_be_told_apart() -> None:
    """Neighbouring ticks never have the same words."""
    assert names([0.9, 0.95]) == ["0.9", "0.95"]
    assert names([0.9012, 0.9014, 0.9016]) == ["0.9012", "0.9014", "0.9016"]
    assert names([0.9010, 0.9015 - 1e-12, 0.9020, 0.9025]) == ["0.9010", "0.9015", "0.9020", "0.9025"]
    assert names([-0.5, 0.0]) == ["−0.5", "0"]
