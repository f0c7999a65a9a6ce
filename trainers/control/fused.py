"""The fused trainer of agents: all cells of a tile act together and learn together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from trainers.blocks import SECONDS, Blocks, Next, Whole, grouped
from trainers.checkpoint import Checkpoint
from trainers.control.agents import Agents
from trainers.control.returns import agents_curves
from trainers.curves import Curves
from trainers.dynamics import Recorder
from trainers.fusion import fusable
from trainers.progress import LAYOUT, Progress
from trainers.replay import CannotReplayError
from trainers.run import Run
from trainers.spikes import spike_factors, spiked_steps
from trainers.step import Step
from trainers.workloads.control import Control


def train_agents(run: Run, checkpoint: Checkpoint | None = None) -> Curves:
    """`train_fused` of a run whose workload is control.

    A step is an optimizer step, as everywhere. Before the first of each `Agents.period` steps all agents act.
    """
    started = time.perf_counter()
    workload, budget = run.workload, run.budget
    assert isinstance(workload, Control)
    workload.check(budget)
    model = fusable(workload.initial_model(run.seed).to(run.device, budget.dtype))
    agents, step = Agents(run, model), Step(run, model, looped=False, apart=True)
    recorder = Recorder(
        budget.dynamics, dict(model.named_parameters()), run.cells, spiked_steps(budget, run.seed)
    )
    place = {at: k for k, at in enumerate(budget.recorded_steps)}
    with torch.no_grad():
        untrained = {name: p.detach().unsqueeze(0) for name, p in model.named_parameters()}
        untrained_N = agents.returns(untrained)[0]
        identity = f"{run.identity(model)} {workload.fingerprint()} {LAYOUT}"
        progress = checkpoint.load(identity) if checkpoint else None
        if progress is None:
            progress = begin(run, step, agents, float(untrained_N.mean()))
        started -= progress.seconds
        recorder.moments = progress.moments
        whole = Whole(step, recorder)
        way: Whole | Blocks = Blocks(step, recorder) if step.repeatable else whole
        stops = {*place, *range(agents.period, budget.steps + 1, agents.period)}
        coming = steps_to_come(run, agents, progress)
        for group in grouped(coming, stops, min(SECONDS, checkpoint.every) if checkpoint else SECONDS):
            try:
                way.advance(progress, group)
            except CannotReplayError:
                way = whole
                way.advance(progress, group)
            if progress.step in place:
                progress.drop_nonfinite()
                if not len(progress.index_C):
                    break
                shown = run.optimizer.evaluated(progress.tile.params, progress.tile.optimizer_state)
                metric_C = agents.returns(shown).mean(1)
                progress.metric_KC[place[progress.step], progress.index_C] = metric_C
            if checkpoint and checkpoint.due:
                progress.seconds = time.perf_counter() - started
                checkpoint.save(identity, progress)
    progress.seconds = time.perf_counter() - started
    if checkpoint and checkpoint.used:
        progress.step = budget.steps
        checkpoint.save(identity, progress)
    return agents_curves(
        budget,
        workload,
        progress.loss_TC,
        progress.metric_KC,
        progress.bad_C,
        untrained_N.cpu(),
        seconds=progress.seconds,
        dynamics=recorder.result(),
    )


def steps_to_come(run: Run, agents: Agents, progress: Progress) -> Iterator[Next]:
    """Each step to the end of the budget; agents act when the first step on a rollout is asked for.

    So a group of steps must end with the rollout, and the progress be up to date when the next is asked for.
    """
    spike_T = spike_factors(run.budget, run.seed)
    for t in range(progress.step, run.budget.steps):
        if t % agents.period == 0:
            tile = progress.tile
            progress.tile = replace(tile, world=agents.acted(tile, t // agents.period))
        yield Next(t, agents.micro(progress.tile.world, t), run.budget.lr_factor(t), spike_T[t])


def begin(run: Run, step: Step, agents: Agents, untrained: float) -> Progress:
    """All agents before the first step, and the return of the untrained policy."""
    budget, cells, device = run.budget, run.cells, run.device
    progress = Progress(
        step=0,
        tile=replace(step.begin(), world=agents.begin(cells)),
        index_C=torch.arange(cells, device=device),
        loss_TC=torch.full((budget.steps, cells), torch.nan, device=device, dtype=budget.dtype),
        metric_KC=torch.full(
            (len(budget.recorded_steps), cells), torch.nan, device=device, dtype=torch.float64
        ),
        bad_C=[None] * cells,
        moments=[],
    )
    progress.metric_KC[0] = untrained
    return progress
