"""The `verdicts` section of a spec: seeds up to the cap, and what is wrong said with what to write."""

from __future__ import annotations

import pytest

from study.errors import UserError
from study.spec.read import parse_spec
from tests.conftest import TINY


def test_seeds_count_on_to_the_last_look() -> None:
    """`seeds` are those of the first look; further ones follow the largest. What is stored reads the same."""
    spec = parse_spec(TINY + "verdicts: {looks: [3, 5]}\n")
    assert spec.seeds == (0, 1, 2, 3, 4)
    listed = parse_spec(TINY.replace("seeds: 3", "seeds: [7, 2, 4]") + "verdicts: {looks: [3, 5]}\n")
    assert listed.seeds == (7, 2, 4, 8, 9)
    for one in (spec, listed):
        assert parse_spec(one.canonical()).seeds == one.seeds
        assert parse_spec(one.canonical()).verdicts == one.verdicts
    assert parse_spec(TINY).seeds == (0, 1, 2)


def test_the_design_is_a_part_of_the_rules() -> None:
    """Kinds of regions come widest first. Other kinds are other rules of verdicts, and a grid has none."""
    grid = parse_spec(TINY)
    assert "edges" not in grid.verdict_rules
    seeking = parse_spec(f"{TINY}design: edges\nedges_of: [competitive, trained]\n")
    assert seeking.edges_of == ("trained", "competitive")
    assert parse_spec(seeking.canonical()).edges_of == seeking.edges_of
    one = parse_spec(f"{TINY}design: edges\nedges_of: trained\n")
    assert one.edges_of == ("trained",)
    assert len({spec.verdict_rules for spec in (grid, seeking, one)}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{looks: [3, 3]}", "wanted rising numbers of seeds"),
        ("{looks: [5, 3]}", "wanted rising numbers of seeds"),
        ("{looks: [2, 5]}", "the first 3 or more"),
        ("{looks: [3, 5000]}", "the last 1,000 or fewer"),
        ("{looks: [4, 8]}", "found 3; wanted 4, as many as the first of verdicts: looks"),
        ("{looks: three}", "looks"),
        ("{look: [3, 5]}", "known: looks, indifference"),
        ("{indifference: {share: 0}}", "share"),
        ("{indifference: {loss: -0.1}}", "loss"),
        ("{indifference: {shares: 0.1}}", "known: ratio, share, loss, accuracy"),
        ("{looks: [3, 5]}\ndesign: edges", "edges_of: found competitive; wanted trained among them"),
        ("{}\ndesign: edges\nedges_of: [stable]", "edges_of.*'trained' or 'competitive'"),
        ("{}\ndesign: edges\nedges_of: []", "edges_of"),
        ("{}\nedges_of: trained", "edges_of: found trained; wanted design: edges beside it"),
    ],
)
def test_what_cannot_be_is_refused(text: str, said: str) -> None:
    """Looks that do not rise, begin too early or do not fit `seeds`, and differences that are none."""
    with pytest.raises(UserError, match=said):
        parse_spec(f"{TINY}verdicts: {text}\n", "s")


def test_seeds_that_cannot_count_on_are_refused() -> None:
    """Further seeds are those after the largest, which a database must hold."""
    text = TINY.replace("seeds: 3", f"seeds: [0, 1, {2**63 - 3}]") + "verdicts: {looks: [3, %d]}\n"
    assert parse_spec(text % 5).seeds[-1] == 2**63 - 1
    with pytest.raises(UserError, match="wanted seeds after which 3 more fit"):
        parse_spec(text % 6)
