"""The fused trainer: all cells of a tile in one run, one vectorised step at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from trainers.blocks import SECONDS, Blocks, Next, Whole, grouped
from trainers.budget import Budget
from trainers.checkpoint import Checkpoint
from trainers.control.fused import train_agents
from trainers.curves import Curves, curves
from trainers.denormals import flushed_denormals
from trainers.dynamics import Recorder
from trainers.evaluation import Evaluation, evaluated_weights, untrained_loss
from trainers.feed import Feed
from trainers.fusion import fills_processor, fusable, quickest_together
from trainers.network import untrained
from trainers.optimizers.base import Optimizer
from trainers.precision import scaled_in
from trainers.progress import LAYOUT, Progress
from trainers.replay import CannotReplayError
from trainers.run import Run
from trainers.spikes import spike_factors, spiked_steps
from trainers.step import Step
from trainers.transforms.base import Transform
from trainers.workloads.base import Workload
from trainers.workloads.control import Control


def train_fused(
    workload: Workload,
    transform: Transform,
    optimizer: Optimizer,
    budget: Budget,
    *,
    lr_C: Tensor,
    weight_decay_C: Tensor,
    seed: int,
    constants_C: Mapping[str, Tensor] | None = None,
    device: str | torch.device = "cpu",
    checkpoint: Checkpoint | None = None,
) -> Curves:
    """Train C cells that differ in numbers only, from the same weights on the same batches.

    Equal to `train_serial` cell by cell up to rounding. Cells do not influence each other: what a cell gives
    does not depend on its neighbours' numbers, even when they diverge. Cells that became non-finite leave the
    tile at the next recorded point. Denormal numbers are flushed to zero meanwhile, because dying cells would
    otherwise slow all others down.

    Args:
        lr_C: learning rates, shape [C], finite and >= 0.
        weight_decay_C: weight decays, shape [C], finite and >= 0.
        seed: decides initial weights, batches, their augmentation, dropout masks and spikes.
        constants_C: constants of the transform that differ between cells, each of shape [C].
        device: where the cells are trained.
        checkpoint: where the run is kept now and then, and from where it goes on if its process died. On a
            CPU it then gives the same numbers bit by bit. `Checkpoint.clear` it when the results are safe.

    Raises:
        ValueError: a tensor has the wrong shape, or a number is out of range.

    Example:
        >>> import torch
        >>> from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused
        >>> curves = train_fused(
        ...     make_workload("synthetic", "mlp"),
        ...     make_transform("clip_norm"),
        ...     make_optimizer("adamw"),
        ...     Budget(steps=20, batch_size=32, points=2),
        ...     lr_C=torch.tensor([1e-3, 1e-2, 1e6]),
        ...     weight_decay_C=torch.tensor([0.1, 0.1, 0.1]),
        ...     seed=0,
        ... )
        >>> curves.step_K
        (0, 10, 20)
        >>> curves.loss_KC.shape
        torch.Size([3, 3])
        >>> curves.outcome_C
        ('finished', 'finished', 'diverged')
    """
    run = Run(workload, transform, optimizer, budget, lr_C, weight_decay_C, seed, constants_C or {}, device)
    return train_together(run, checkpoint)


@flushed_denormals()
def train_together(run: Run, checkpoint: Checkpoint | None = None) -> Curves:
    """`train_fused` of a run that has been put together."""
    if isinstance(run.workload, Control):
        return train_agents(run, checkpoint)
    started = time.perf_counter()
    budget = run.budget
    feed = Feed(run.workload, budget, run.seed, run.device)
    model, looped = network(feed)
    loss_initial = untrained_loss(feed, model)
    step = Step(run, model, looped=looped)
    identity = f"{run.identity(model)} {LAYOUT}"
    progress = checkpoint.load(identity) if checkpoint else None
    evaluated = Evaluation(feed, model, len(budget.recorded_steps))
    if progress is None:
        progress = begin(run, step, evaluated)
    started -= progress.seconds
    recorder = Recorder(
        budget.dynamics, dict(model.named_parameters()), run.cells, spiked_steps(budget, run.seed)
    )
    recorder.moments = progress.moments
    place = {at: k for k, at in enumerate(budget.recorded_steps)}
    most = min(SECONDS, checkpoint.every) if checkpoint else SECONDS
    groups = grouped(steps_to_come(feed, progress), place, most)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for _ in advanced(progress, groups, *ways(feed, model, step, recorder)):
            if progress.step in place:
                progress.drop_nonfinite()
                # All cells have ended, and no step that is left would train anything.
                if not len(progress.index_C):
                    break
                shown = evaluated_weights(feed, model, run.optimizer, progress.tile)
                metric_C = evaluated(*shown)
                progress.metric_KC[place[progress.step], progress.index_C] = metric_C
            if checkpoint and checkpoint.due:
                progress.seconds = time.perf_counter() - started
                checkpoint.save(identity, progress)
    progress.seconds = time.perf_counter() - started
    if checkpoint and checkpoint.used:
        # Whoever asks for this run again gets its results from here, without training.
        progress.step = budget.steps
        checkpoint.save(identity, progress)
    return curves(
        budget,
        progress.loss_TC,
        progress.metric_KC,
        progress.bad_C,
        loss_initial,
        higher_is_better=run.workload.higher_is_better,
        seconds=progress.seconds,
        dynamics=recorder.result(),
        skipped_C=[progress.skipped[cell] for cell in range(run.cells)] if scaled_in(budget) else None,
    )


def network(feed: Feed) -> tuple[nn.Module, bool]:
    """The untrained network in the form in which it is trained, and whether its cells are looped over."""
    model, example = untrained(feed), feed.inputs(feed.workload.train_x[:1])
    looped = fills_processor(model, example)
    return (model if looped else fusable(model, example)), looped


def steps_to_come(feed: Feed, progress: Progress) -> Iterator[Next]:
    """Each step to the end of the budget."""
    spike_T = spike_factors(feed.budget, feed.seed)
    for t, micro in feed.steps(progress.step):
        yield Next(t, micro, feed.budget.lr_factor(t), spike_T[t])


def ways(feed: Feed, model: nn.Module, step: Step, recorder: Recorder) -> tuple[Whole | Blocks, Whole]:
    """How steps are taken, and how they are where they turn out not to be repeatable."""
    whole = Whole(step, recorder)
    if not step.repeatable:
        return whole, whole
    examples = feed.budget.batch_size // feed.budget.accumulation
    outputs, quickest = feed.workload.output_numbers * examples, quickest_together(model, examples)
    return Blocks(step, recorder, outputs, quickest), whole


def advanced(
    progress: Progress, groups: Iterable[list[Next]], way: Whole | Blocks, whole: Whole
) -> Iterator[None]:
    """Take steps, and stop after each group; from the first that cannot be repeated, all cells at once."""
    for group in groups:
        try:
            way.advance(progress, group)
        except CannotReplayError:
            way = whole
            way.advance(progress, group)
        yield


def begin(run: Run, step: Step, evaluated: Evaluation) -> Progress:
    """All cells before the first step, and the metric of the untrained network."""
    budget, cells, device = run.budget, run.cells, run.device
    points = len(budget.recorded_steps)
    tile = step.begin()
    progress = Progress(
        step=0,
        tile=tile,
        index_C=torch.arange(cells, device=device),
        loss_TC=torch.full((budget.steps, cells), torch.nan, device=device, dtype=budget.dtype),
        metric_KC=torch.full((points, cells), torch.nan, device=device, dtype=torch.float64),
        bad_C=[None] * cells,
        moments=[],
    )
    progress.metric_KC[0] = evaluated(tile.params, tile.buffers)
    return progress
