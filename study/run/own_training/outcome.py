"""How a cell of the user's own training ended: its reports and its process, judged as one record."""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from study.plan.job import Job
from study.run.own_training.order import Ended
from study.run.own_training.reports import Report, Reported
from study.run.records import finite, identity
from study.spec.own_training import OwnTraining
from tracking import DIVERGED, FINISHED, CellRecord
from tracking.record import Curve
from trainers.budget import Budget

STEP = attrgetter("step")


class OwnFailureError(Exception):
    """A cell is neither finished nor diverged; the message says why in one sentence."""


def record_of(
    job: Job, own: OwnTraining, ended: Ended, reported: Reported, provenance: dict[str, Any]
) -> CellRecord:
    """The record of a cell.

    It diverged where a reported loss is not finite, or the losses exploded by the rule of
    `trainers.outcomes`, or the training says so itself. Nothing else is a divergence.

    Raises:
        OwnFailureError: its process did not end as it should, or it reported no score.
    """
    name, budget = job.workload.name, job.budget
    end = divergence(own, budget, reported)
    if end is None or ended.late:
        refuse_end(name, ended, reported, own)
    # The score before training is no result: a training that tells no other one has a slip.
    score = [one for one in reported.reports if one.metric is not None and one.step > 0]
    if end is None and not score:
        raise OwnFailureError(
            f"{name} reported no {own.metric} after step 0; "
            "wanted its last value, returned or reported under that name"
        )
    if end is None and not math.isfinite(score[-1].metric or 0.0):
        raise OwnFailureError(
            f"{name} reported {own.metric} = {score[-1].metric} at last; wanted a finite number, "
            "a loss that is not finite, or cell.diverged(reason)"
        )
    if end is None and start_of(own, reported.reports).metric is None:
        raise OwnFailureError(
            f"{name} reported no {own.metric} at step 0, although the spec says so; "
            "report it, or give the score as untrained"
        )
    exploded = end is not None and end[0] == LOSS_EXPLODED
    # An exploded loss is finite to the end, so its numbers are kept, as the trainers keep them.
    curve = curve_of(own, budget, reported.reports, until=end[1] if end and not exploded else None)
    scores = [metric for _, _, metric in curve if metric is not None]
    return CellRecord(
        **identity(job.tile.cells[0]),
        outcome=FINISHED if end is None else DIVERGED,
        reason=end[0] if end else None,
        diverged_step=end[1] if end else None,
        steps=budget.steps,
        loss_initial=curve[0][1],
        loss_final=final_loss(budget, reported.reports) if end is None or exploded else None,
        metric_name=own.metric,
        metric_direction=own.direction,
        metric_initial=curve[0][2],
        metric_final=finite(score[-1].metric or 0.0) if score and (end is None or exploded) else None,
        metric_best=(max if own.higher_is_better else min)(scores) if scores else None,
        seconds=ended.seconds,
        curve=curve,
        dynamics="{}",
        provenance=json.dumps(noted(reported.notes, provenance)),
    )


def noted(notes: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What stands behind a cell, and what its training noted, which replaces nothing but the device."""
    device = {key: value for key, value in notes.items() if key == "device"}
    return {**provenance, **device, **{key: notes[key] for key in notes if key not in provenance}}


LOSS_EXPLODED = "loss_exploded"
SAID = "said"
"""How the reason of a divergence begins that the training itself told of."""


def divergence(own: OwnTraining, budget: Budget, reported: Reported) -> tuple[str, int] | None:
    """Why and at which step a cell diverged; None where it did not."""
    import torch

    from trainers.outcomes import NONFINITE_LOSS, diverged_at

    told = [one for one in reported.reports if one.loss is not None and one.step > 0]
    if any(one.loss is not None and not math.isfinite(one.loss) for one in reported.reports if one.step == 0):
        return NONFINITE_LOSS, 1  # before training, so that no step was any good
    last = reported.reports[-1].step if reported.reports else 0
    if told:
        start = start_of(own, reported.reports).loss
        tail = sum(one.step > budget.steps - budget.tail for one in told)
        losses = torch.tensor([[one.loss] for one in told], dtype=torch.float64)
        # Without the loss before training there is nothing that another loss could be larger than. And
        # without one of the last tenth, the end is not known.
        known = start is not None and tail > 0
        (end,) = diverged_at(
            losses, [None], start if known and start is not None else math.inf, max(tail, 1),
            budget.explosion_factor,
        )  # fmt: skip
        if end is not None:
            return end[0], told[end[1] - 1].step
    if reported.diverged is not None:
        return f"{SAID}: {reported.diverged}", max(last, 1)
    return None


def refuse_end(name: str, ended: Ended, reported: Reported, own: OwnTraining) -> None:
    """Refuse a process that did not end as it should.

    Raises:
        OwnFailureError: how it ended.
    """
    if ended.problem:
        raise OwnFailureError(ended.problem)
    if ended.late:
        raise OwnFailureError(f"{name} was ended after its limit of {own.limit:g} s")
    if reported.ended is not None and "raised" in reported.ended:
        raise OwnFailureError(f"{name} raised {reported.ended['raised']}")
    if ended.status:
        raise OwnFailureError(f"{name} {ended.words}")
    # A command says by its exit status that it is done. A function that ends Python has not returned.
    if reported.ended is None and not own.command:
        raise OwnFailureError(
            f"{name} ended Python by itself, with exit status 0; wanted a function that returns"
        )


def start_of(own: OwnTraining, reports: list[Report]) -> Report:
    """Loss and score before training: as they are reported at step 0, else as the spec tells them."""
    loss, metric = own.untrained_loss, None if isinstance(own.untrained, str) else own.untrained
    for one in reports:
        if one.step == 0:
            loss = one.loss if one.loss is not None else loss
            metric = one.metric if one.metric is not None else metric
    return Report(0, loss, metric)


def final_loss(budget: Budget, reports: list[Report]) -> float | None:
    """Mean of the losses that were reported in the last tenth of the budget, else the last of all."""
    losses = [(one.step, one.loss) for one in reports if one.loss is not None and one.step > 0]
    if not losses:
        return None
    last = [loss for step, loss in losses if step > budget.steps - budget.tail] or [losses[-1][1]]
    return finite(sum(last) / len(last))


def curve_of(own: OwnTraining, budget: Budget, reports: list[Report], until: int | None) -> Curve:
    """The points that a record keeps, at the steps at which the trainers record.

    Loss is the mean of what was reported since the point before, and the score the last that was. Nothing
    stands at and after the step `until`, where a cell diverged.
    """
    start = start_of(own, reports)
    points = [(0, None if start.loss is None else finite(start.loss), start.metric)]
    at = bisect_right(reports, 0, key=STEP)
    end = len(reports) if until is None else bisect_left(reports, until, key=STEP)
    for step in budget.recorded_steps[1:]:
        # Their steps rise, so that no point has to look at all: a training may report at every step.
        behind = bisect_right(reports, step, at, end, key=STEP) if at < end else at
        inside = reports[at:behind]
        losses = [one.loss for one in inside if one.loss is not None]
        scores = [one.metric for one in inside if one.metric is not None and math.isfinite(one.metric)]
        mean = finite(sum(losses) / len(losses)) if losses else None
        points.append((step, mean, scores[-1] if scores else None))
        at = behind
    return tuple(points)
