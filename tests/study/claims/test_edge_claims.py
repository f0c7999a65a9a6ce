"""Claims that edge-seeking designs decide: the looks and verdicts of whole grids, from fewer cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from search_spaces import Cell
from study.analysis import Analysis
from study.measures.evidence import KINDS
from study.plan.cells import Plan, make_plan
from study.run.rounds import Rounds
from study.spec.read import parse_spec
from tests.conftest import TINY
from tests.fabricated import UNTRAINED, record_of
from tests.tools.verdicts import draw
from tracking import CellRecord

WIDENS = "stabilizer-widens-lr"
TEXT = (
    TINY.replace("[1e-3, 1e-2, 30]", "{low: 1e-5, high: 10, points_per_decade: 8}")
    .replace("[1e-2, 10]", "{low: 1e-4, high: 1e-1, points_per_decade: 2}")
    .replace("[none, unit_norm]", "[none, clip_norm, zscore, centralization, gradient_stabilizer]")
    .replace("seeds: 3", "seeds: 3\nverdicts: {looks: [3, 5, 8]}")
)
SEEKING = f"{TEXT}design: edges\nedges_of: [trained, competitive]\n"


def plan_of(text: str) -> Plan:
    return make_plan(parse_spec(text), {"digits/mlp": "made up"})


def score(cell: Cell, *, wider: float, spread: float) -> float | None:
    """Trained from 10^-4 to 10^-2, with the stabilizer by some decades further; edges vary with the seed."""
    rng = np.random.default_rng([cell.seed, len(cell.transform)])
    edge = rng.normal(0, spread)
    at = np.log10(cell.lr)
    if at < -4 + edge / 2:
        return UNTRAINED
    if at > -2 + edge + wider * (cell.transform == "gradient_stabilizer"):
        return None
    return float(0.9 - 0.04 * (at + 3) ** 2 - 0.02 * np.log10(cell.weight_decay) ** 2 / 16)


def trained(plan: Plan, *, until_decided: bool = True, **how: float) -> dict[str, CellRecord]:
    """What the rounds of a study train."""
    stored: dict[str, CellRecord] = {}

    def known(keys: Iterable[str]) -> Mapping[str, CellRecord]:
        return {key: stored[key] for key in keys if key in stored}

    rounds = Rounds(plan, known, lambda: Analysis(plan, stored).next_keys, until_decided)
    for part in rounds:
        for cell in part.cells:
            stored[cell.key] = record_of(cell, score(cell, **how))
    return stored


def everything(plan: Plan, **how: float) -> dict[str, CellRecord]:
    return {cell.key: record_of(cell, score(cell, **how)) for cell in plan.cells}


@pytest.mark.parametrize(("wider", "verdict"), [(1.0, "supported"), (-1.0, "refuted")])
def test_the_verdict_is_that_of_the_grid(wider: float, verdict: str) -> None:
    """With less than a half of the cells, and at the same look."""
    how = {"wider": wider, "spread": 0.1}
    grid, seeking = plan_of(TEXT), plan_of(SEEKING)
    stored = trained(seeking, **how)
    by_edges, by_grid = Analysis(seeking, stored), Analysis(grid, everything(grid, **how))
    one, other = (
        next(claim for claim in found.claims if claim.id == WIDENS) for found in (by_edges, by_grid)
    )
    assert one.verdict == other.verdict == verdict
    assert one.n_seeds == other.n_seeds
    assert one.estimate == pytest.approx(other.estimate, abs=0.05)
    assert one.cells
    assert set(one.cells) <= stored.keys()
    assert by_edges.complete
    assert (
        by_edges.counts["inferred"]
        > len(stored)
        == sum(by_edges.counts[name] for name in ("finished", "diverged"))
    )
    cells = {cell.seed for cell in seeking.cells if cell.key in stored}
    assert cells == set(range(one.n_seeds))


def test_looks_go_on_and_see_their_own_seeds() -> None:
    """What a look said stays when later seeds are stored, and a launch without more looks ends after one."""
    seeking, how = plan_of(SEEKING), {"wider": 0.3, "spread": 0.4}
    first = Analysis(seeking, trained(seeking, until_decided=False, **how))
    assert first.judgement.look
    assert first.judgement.look.seeds == 3
    stored = trained(seeking, **how)
    last = Analysis(seeking, stored)
    assert last.judgement.look
    assert last.judgement.look.seeds > 3
    early = Analysis(seeking, {key: stored[key] for key in first.stored})
    assert [claim.estimate for claim in early.judged] == [claim.estimate for claim in first.judged]
    again = {claim.id: claim for claim in last.judged}
    for claim in first.judged:
        if claim.standing in ("decided", "futile"):
            assert again[claim.id] == claim
    # All cells are stored: the designs ask for the same ones, so that nothing is judged otherwise.
    whole = Analysis(seeking, everything(seeking, **how))
    assert [(one.verdict, one.estimate) for one in whole.judged] == [
        (one.verdict, one.estimate) for one in last.judged
    ]


def test_a_look_that_began_is_pending() -> None:
    """Without some of its cells a look is not there: the look before it holds, and its batch is pending."""
    seeking, how = plan_of(SEEKING), {"wider": 0.3, "spread": 0.4}
    stored = trained(seeking, **how)
    some = {key: record for key, record in stored.items() if record.seed < 4}
    found = Analysis(seeking, some)
    assert found.judgement.look
    assert found.judgement.look.seeds == 3
    assert found.counts["pending"] == len(set(found.next_batch) - some.keys()) > 0
    assert not found.complete
    assert all(one.seeds == (0, 1, 2) for one in found.pictured)
    assert all(one.complete_S.all() for one in found.pictured)


def test_only_the_sought_regions_are_known() -> None:
    """Without the edges of trained regions the claim says what leads to it; other claims need a grid."""
    one = plan_of(
        SEEKING.replace("[trained, competitive]", "[competitive]").replace(
            "verdicts: {looks: [3, 5, 8]}", "verdicts: {}"
        )
    )
    found = Analysis(one, trained(one, wider=1.0, spread=0.1))
    said = {claim.id: claim.reason for claim in found.claims}
    assert "edges_of: [trained, competitive]" in said[WIDENS]
    assert "design: grid" in said["stabilizer-fewer-divergences"]
    assert {kind for piece in found.evidence for _, kind, _ in piece.regions} == {"competitive"}


@pytest.mark.parametrize("kind", ["twins-curved", "twins-dead", "uneven-4"])
def test_both_regions_are_those_of_the_grid(kind: str) -> None:
    """Of planted studies the design gives 98 cells of 100 the class that the whole grid gives them."""
    drawn = draw(kind, 1, 3)
    spec = drawn.plan.spec.model_copy(update={"design": "edges", "edges_of": KINDS})
    seeking = Analysis(replace(drawn.plan, spec=spec), drawn.stored)
    (piece,), (truth,) = seeking.evidence, (drawn.evidence(3)[0],)
    alike = [
        piece.regions[name, kind, "own"].inside_SWL == truth.regions[name, kind, "own"].inside_SWL
        for name in piece.landscapes
        for kind in KINDS
    ]
    assert np.mean(alike) >= 0.98
    inside = [piece.regions[name, kind, "own"].inside_SWL for name in piece.landscapes for kind in KINDS]
    for wide, narrow in zip(inside[::2], inside[1::2], strict=True):
        assert not (narrow & ~wide).any()


def test_lost_cells_are_outside() -> None:
    """A cell whose loss departed or is stuck at its first is in no region, whatever its accuracy."""
    seeking, how = plan_of(SEEKING), {"wider": 0.0, "spread": 0.0}
    stored = everything(seeking, **how)
    for key, record in stored.items():
        if record.finished and record.lr > 3e-3:
            assert record.loss_initial
            loss = record.loss_initial * (3.0 if record.lr > 6e-3 else 1.0)
            stored[key] = replace(record, loss_final=loss)
    found = Analysis(seeking, stored)
    lr = np.array(seeking.spec.lr)
    for region in found.evidence[0].regions.values():
        assert region.inside_SWL.any()
        assert not region.inside_SWL[:, :, lr > 3.1e-3].any()
