"""Rules of verdicts: what is a change of them, what is none, and what changes cost."""

from __future__ import annotations

import pytest

from study.claims.registration import Registration, changed
from study.spec.read import parse_spec
from tests.conftest import TINY


@pytest.mark.parametrize(
    ("written", "instead", "keys"),
    [
        ("seeds: 3", "seeds: 5", set()),
        ("seeds: 3", "seeds: [0, 1, 2, 9]", set()),
        ("seeds: 3", "seeds: 2", {"seeds"}),
        ("seeds: 3", "seeds: [1, 0, 2]", {"seeds"}),
        ("seeds: 3", "seeds: 3\nverdicts: {looks: [3, 5]}", {"seeds", "verdicts: looks"}),
        ("[none, unit_norm]", "[none, unit_norm, agc]", {"transforms"}),
        ("[1e-3, 1e-2, 30]", "[1e-3, 1e-2]", {"lr"}),
        ("seeds: 3", "seeds: 3\nregion: {trained: 0.2}", {"region: trained"}),
        ("seeds: 3", "seeds: 3\nverdicts: {indifference: {ratio: 0.3}}", {"verdicts: indifference"}),
        ("seeds: 3", "seeds: 3\nworkers: {tile: 4}", set()),
    ],
)
def test_what_is_a_change(written: str, instead: str, keys: set[str]) -> None:
    """Seeds that are appended by hand are a further look and no change. Nor is how cells are trained."""
    assert written in TINY
    before, after = (parse_spec(text).verdict_rules for text in (TINY, TINY.replace(written, instead)))
    assert set(changed(before, after)) == keys
    assert changed(after, after) == {}


def test_rules_of_a_former_version() -> None:
    """They name no seeds, so that nothing is said of seeds."""
    assert changed('{"region": {"trained": 0.1}}', '{"region": {"trained": 0.1}, "seeds": [4]}') == {}


def test_each_set_of_rules_has_an_error_of_its_own() -> None:
    """Only changes after which a verdict may have been seen count, and the reader's own rules do."""
    one, two = '{"seeds": [0, 1, 2], "lr": [1]}', '{"seeds": [0, 1, 2], "lr": [2]}'
    same = Registration(((one, 0),), one, 3)
    assert (same.sets, same.lines, same.together(0.95)) == (1, [], 0.95)
    before = Registration(((one, 0), (two, 0)), two, 3)
    assert (before.sets, before.lines) == (1, [])
    few = Registration(((one, 0), (two, 2)), two, 3)
    assert few.sets == 1
    assert few.lines == ["The rules of verdicts were changed when 2 seeds were complete: lr from [1] to [2]."]
    often = Registration(((one, 0), (two, 3), (one, 5)), two, 3)
    assert often.sets == 4
    assert often.together(0.95) == pytest.approx(0.80)
    assert often.lines[-1] == "These verdicts follow rules that no launch has named: lr from [1] to [2]."
    assert Registration(((one, 0),) + ((two, 3), (one, 3)) * 30, one, 3).together(0.95) == 0
    late = Registration(((one, 5),), one, 3)
    assert late.lines == ["The rules of verdicts were first given when 5 seeds were complete."]
