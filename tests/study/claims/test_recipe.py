"""Claims that warm-up or schedule can be left out, on losses whose truth is planted, in nats per token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from search_spaces.axes import LogAxis
from study.claims import CLAIMS, judge_claims
from study.claims.false_verdicts import is_false
from study.claims.verdicts import INCONCLUSIVE, NO_DIFFERENCE, REFUTED, SUPPORTED, Claim
from study.measures.evidence import gather
from study.measures.landscape import DIVERGED, FINISHED, Landscape
from study.plan.cells import Setting
from study.spec.conditions import Condition
from study.spec.method_choice import Choice
from study.spec.tolerances import Tolerances
from tests.planting import WD
from trainers.budget import Budget

SEEDS = 8
UNTRAINED, BEST = 5.5, 2.0
LR = LogAxis(1e-5, 1, 16).values
"""Fine enough to tell a tenth of a width: an edge is known to a gap of the grid."""
BUDGET = Budget(steps=100, batch_size=8)


@dataclass(frozen=True)
class Truth:
    """A method's best loss and the learning rates between which it trains [nats per token, log10 of lr]."""

    loss: float = BEST
    low: float = -3.6
    high: float = -0.9


def trained(
    method: str, truth: Truth, *, optimizer: str = "adamw", noise: float = 0.0005, **varied: Any
) -> Landscape:
    """A validation loss in nats per token: lower is better. Above the region the loss has left."""
    name = f"{method}/{optimizer}/{sorted(varied.items())}"
    rng = np.random.default_rng([*name.encode()])
    at = np.log10(LR)
    shape = (SEEDS, len(WD), len(LR))
    edge = rng.normal(0, 0.02, (SEEDS, 1, 1))
    above = np.broadcast_to(at > truth.high + edge, shape)
    inside = np.broadcast_to((at >= truth.low + edge) & ~above, shape)
    # All seeds share their luck where they share their data, which pairing takes out.
    metric = (
        np.where(inside, truth.loss, 5.3)
        + rng.normal(0, noise, shape)
        + 0.05 * np.arange(SEEDS)[:, None, None]
    )
    metric = np.where(above, np.nan, metric)
    condition = Condition(tuple(varied.items()), replace(BUDGET, **varied))
    return Landscape(
        workload="text",
        optimizer=optimizer,
        method=method,
        transform=method,
        lr=LR,
        weight_decay=WD,
        seeds=tuple(range(SEEDS)),
        metric_name="nats per token",
        higher_is_better=False,
        outcome_SWL=np.where(above, DIVERGED, FINISHED),
        metric_SWL=metric,
        untrained_S=np.full(SEEDS, UNTRAINED),
        loss_SWL=metric,
        loss_initial_S=np.full(SEEDS, UNTRAINED),
        key_SWL=np.array([f"{name}{k}" for k in range(int(np.prod(shape)))]).reshape(shape),
        condition=condition.label,
        origin=Setting(Choice("text"), Choice("llama"), Choice(optimizer), condition),
    )


def claim(name: str, landscapes: Sequence[Landscape]) -> Claim:
    (found,) = [one for one in judge_claims(gather(landscapes, Tolerances())) if one.id == name]
    return found


PLAIN = Truth()
PAYS = Truth(loss=BEST + 0.2)
NARROW = Truth(high=-1.9)


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict"),
    [
        # What the method and what the baseline are without warm-up; with it both are the same.
        (PLAIN, PAYS, SUPPORTED),
        (Truth(loss=BEST + 0.005), PAYS, SUPPORTED),
        (PLAIN, NARROW, SUPPORTED),
        (PAYS, PAYS, REFUTED),
        (PAYS, PLAIN, REFUTED),
        (Truth(loss=BEST + 0.1), PAYS, REFUTED),
        (NARROW, Truth(high=-2.6), REFUTED),
        (PLAIN, PLAIN, NO_DIFFERENCE),
        (Truth(loss=BEST - 0.2), PLAIN, NO_DIFFERENCE),
    ],
)
def test_warmup_is_spared_where_the_method_loses_nothing_and_the_baseline_does(
    mine: Truth, theirs: Truth, verdict: str
) -> None:
    """The method must lose less than anybody would act on, in loss and in width, and less than the baseline.

    Where neither loses anything there was nothing to spare: no difference.
    """
    pieces = [
        trained("none", PLAIN, warmup=20),
        trained("gradient_stabilizer", PLAIN, warmup=20),
        trained("none", theirs, warmup=0),
        trained("gradient_stabilizer", mine, warmup=0),
    ]
    found = claim("stabilizer-needs-no-warmup", pieces)
    assert found.verdict == verdict, found.reason
    assert found.setting == "text · adamw"
    assert "20 steps of warm-up" in found.reason
    assert len(found.cells) == sum(one.key_SWL.size for one in pieces)


def test_what_leaving_out_costs_is_worse_upwards() -> None:
    """For a loss, where lower is better, a cost of 0.2 nats per token is +0.2, and the threshold is +0.02."""
    pieces = [
        trained(method, truth, warmup=steps)
        for method in ("none", "gradient_stabilizer")
        for steps, truth in ((20, PLAIN), (0, PAYS))
    ]
    found = claim("stabilizer-needs-no-warmup", pieces)
    assert found.estimate == pytest.approx(0.2, abs=0.01)
    assert (found.threshold, found.above, found.unit) == (0.02, False, "nats per token")
    assert "2.375 without and 2.175 with" in found.reason


def test_twins_tell_what_is_false() -> None:
    """Of twins that all pay it is true that warm-up is needed, and false that one of them spares it."""
    pieces = [
        trained(method, truth, warmup=steps)
        for method in ("none", "gradient_stabilizer")
        for steps, truth in ((20, PLAIN), (0, PAYS))
    ]
    rule = CLAIMS["stabilizer-needs-no-warmup"]
    (piece, _) = gather(pieces, Tolerances())
    finding = rule.decide(piece, piece.landscapes["gradient_stabilizer"])
    assert not is_false(REFUTED, finding)
    assert is_false(SUPPORTED, finding)


def test_every_length_of_warmup_counts() -> None:
    """Leaving it out must lose nothing against any warm-up of the study, not against a bad one alone."""
    pieces = [
        trained(method, truth, warmup=steps)
        for method, truths in (
            ("none", (PAYS, PAYS, PLAIN)),
            ("gradient_stabilizer", (PAYS, PAYS, PLAIN)),
        )
        for steps, truth in zip((0, 10, 40), truths, strict=True)
    ]
    found = claim("stabilizer-needs-no-warmup", pieces)
    assert (found.verdict, found.against) == (REFUTED, "against 40 steps of warm-up in tuned score")


def test_what_lacks_is_said() -> None:
    """Without a condition, a baseline, or a size that matters there is no verdict, but a reason."""
    only = [trained(method, PLAIN, warmup=20) for method in ("none", "gradient_stabilizer")]
    assert "conditions: warmup" in claim("stabilizer-needs-no-warmup", only).missing
    alone = [trained("gradient_stabilizer", PLAIN, warmup=steps) for steps in (0, 20)]
    found = claim("stabilizer-needs-no-warmup", alone)
    assert found.verdict == INCONCLUSIVE
    assert "the baseline none" in found.reason
    pieces = [trained(method, PLAIN, warmup=n) for method in ("none", "gradient_stabilizer") for n in (0, 20)]
    returns = [replace(one, metric_name="return", higher_is_better=True) for one in pieces]
    assert "this one has return" in claim("stabilizer-needs-no-warmup", returns).missing


@pytest.mark.parametrize(
    ("lengths", "mine", "theirs", "verdict"),
    [
        ((100, 200), PLAIN, PAYS, SUPPORTED),
        ((100, 200), PAYS, PAYS, REFUTED),
        ((100, 200), PLAIN, PLAIN, NO_DIFFERENCE),
        ((100,), PLAIN, PAYS, INCONCLUSIVE),
    ],
)
def test_schedules_are_spared_at_every_length(
    lengths: Sequence[int], mine: Truth, theirs: Truth, verdict: str
) -> None:
    """A schedule is made for one length, so one length alone supports nothing."""
    pieces = [
        trained(method, truth if schedule == "constant" else PLAIN, schedule=schedule, steps=steps)
        for method, truth in (("none", theirs), ("gradient_stabilizer", mine))
        for schedule in ("cosine", "constant")
        for steps in lengths
    ]
    found = claim("stabilizer-needs-no-schedule", pieces)
    assert found.verdict == verdict, found.reason
    assert ("conditions: steps" in found.reason) == (len(lengths) == 1)


@pytest.mark.parametrize(
    ("free", "constant", "verdict"),
    [(PLAIN, PAYS, SUPPORTED), (PAYS, PAYS, REFUTED), (PLAIN, PLAIN, NO_DIFFERENCE)],
)
def test_an_optimizer_without_schedule_is_set_beside_one_with(
    free: Truth, constant: Truth, verdict: str
) -> None:
    """Schedule-Free AdamW must match AdamW with a schedule, and what AdamW loses without is its merit."""
    pieces = [
        trained("none", constant if schedule == "constant" else PLAIN, schedule=schedule, steps=steps)
        for schedule in ("cosine", "constant")
        for steps in (100, 200)
    ]
    pieces += [
        trained("none", free, optimizer="schedule_free_adamw", schedule="constant", steps=steps)
        for steps in (100, 200)
    ]
    found = claim("schedule-free-needs-no-schedule", pieces)
    assert found.verdict == verdict, found.reason
    assert found.setting == "text"


def test_an_optimizer_without_schedule_is_set_beside_cells_of_the_same_condition() -> None:
    """Where a stress is varied too, both optimizers are taken without it."""
    pieces = [
        trained(
            "none",
            PAYS if scale > 1 or (schedule == "constant" and optimizer == "adamw") else PLAIN,
            optimizer=optimizer,
            schedule=schedule,
            steps=steps,
            loss_scale=scale,
        )
        for optimizer in ("adamw", "schedule_free_adamw")
        for schedule in ("cosine", "constant")
        for steps in (100, 200)
        for scale in (1.0, 1000.0)
    ]
    found = claim("schedule-free-needs-no-schedule", pieces)
    assert found.verdict == SUPPORTED, found.reason


def test_each_precision_and_quantization_is_asked_apart() -> None:
    """Every claim has a row for each arithmetic, and the row says which; warm-up stands for itself once.

    Of conditions without an ordinary value the first of the spec stands for all.
    """
    pieces = [
        trained(method, truth, precision=precision, warmup=steps)
        for precision, truth in (("float32", PLAIN), ("float16", NARROW))
        for steps in (20, 0)
        for method in ("none", "clip_norm", "gradient_stabilizer")
    ]
    found = judge_claims(gather(pieces, Tolerances()))
    for name, more in (("stabilizer-widens-lr", ", warmup=20"), ("stabilizer-needs-no-warmup", "")):
        assert [one.setting for one in found if one.id == name] == [
            f"text · adamw · precision={precision}{more}" for precision in ("float32", "float16")
        ]
    # Those of one arithmetic rest on its own cells alone.
    float16 = next(one for one in found if one.setting == "text · adamw · precision=float16")
    assert all("float16" in key for key in float16.cells)
