"""When a cell counts as diverged, and what its curves then say."""

from __future__ import annotations

import torch

from trainers.budget import Budget
from trainers.curves import curves
from trainers.denormals import flushed_denormals, flushing
from trainers.outcomes import diverged_at, last_living_step

NAN, INF = float("nan"), float("inf")


def test_reasons_and_steps() -> None:
    """Non-finite numbers count from where they were seen, an exploded loss from where it stayed above."""
    loss_TC = torch.tensor(
        [[2.0] * 5, [1.5, 2.5, INF, 1.0, 1.0], [1.0, 9.0, NAN, 1.0, 1.0], [0.5, 9.0, NAN, 1.0, 3.0]]
    )
    found = diverged_at(loss_TC, [None, None, None, 4, None], loss_initial=2.0, tail=1, factor=1.0)
    assert found == [
        None,
        ("loss_exploded", 2),
        ("nonfinite_loss", 2),
        ("nonfinite_parameters", 4),
        ("loss_exploded", 4),
    ]


def test_cells_live_until_a_number_breaks() -> None:
    """A loss is computed before its step and parameters are looked at after it; what exploded lives on."""
    assert last_living_step("nonfinite_loss", 7) == 6
    assert last_living_step("nonfinite_parameters", 7) == 7
    assert last_living_step("loss_exploded", 7) == last_living_step(None, None) == INF


def test_explosion_factor_moves_the_limit() -> None:
    """The limit is the factor times the initial loss, and reaching it exactly is no explosion."""
    loss_TC = torch.tensor([[2.0, 2.0], [2.0, 4.1]])
    assert diverged_at(loss_TC, [None, None], 2.0, 1, 1.0)[0] is None
    assert diverged_at(loss_TC, [None, None], 2.0, 1, 2.0)[1] is not None
    assert diverged_at(loss_TC, [None, None], 2.0, 1, 3.0)[1] is None


def test_curves_end_where_a_cell_does() -> None:
    """After a non-finite step losses and metrics are NaN.

    Means before it, and the best before it, are kept.
    """
    budget = Budget(steps=4, batch_size=1, points=2)
    loss_TC = torch.tensor([[3.0, 3.0], [1.0, 1.0], [1.0, INF], [1.0, 0.0]])
    metric_KC = torch.tensor([[0.1, 0.1], [0.5, 0.6], [0.4, 0.9]])
    result = curves(budget, loss_TC, metric_KC, [None, None], 2.0, higher_is_better=True, seconds=1.0)
    assert result.step_K == (0, 2, 4)
    assert result.outcome_C == ("finished", "diverged")
    assert result.diverged_step_C == (None, 3)
    assert result.loss_KC[:, 0].tolist() == [2.0, 2.0, 1.0]
    assert result.loss_KC[:2, 1].tolist() == [2.0, 2.0]
    assert result.loss_KC[2, 1].isnan()
    assert result.metric_final_C[1].isnan()
    assert torch.allclose(result.metric_best_C, torch.tensor([0.5, 0.6]).double())


def test_denormals_are_flushed_only_while_training() -> None:
    """Inside of the block denormals are zero, behind it they are what they were."""
    before = flushing()
    with flushed_denormals():
        assert flushing()
    assert flushing() == before


def test_recorded_steps_are_even_and_end_at_the_end() -> None:
    """Recorded points include 0 and the last step, and are never more than the steps."""
    assert Budget(steps=200, batch_size=1).recorded_steps == tuple(range(0, 201, 20))
    assert Budget(steps=3, batch_size=1, points=10).recorded_steps == (0, 1, 2, 3)
