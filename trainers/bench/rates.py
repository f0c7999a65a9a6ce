"""How fast one process trains: fused, in a plain loop, and what its matrix products could do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from trainers.budget import Budget
from trainers.curves import Curves
from trainers.denormals import flushed_denormals
from trainers.fused import train_fused
from trainers.optimizers import make_optimizer
from trainers.serial import train_serial
from trainers.transforms import make_transform
from trainers.workloads import Workload, make_workload
from trainers.workloads.base import batches

EXAMPLES = 128
"""Images of the workload, a quarter of them for evaluation: few, so that evaluations take little time."""
BATCH_SIZE = 64
"""Examples per step, where a problem has no other number."""


@dataclass(frozen=True)
class Problem:
    """What a measured model is trained on: a workload with its constants, and a small one for comparing.

    Attributes:
        batch_size: examples per step.
        tokens: per example, where they are what is counted; else 0.
        model, model_constants: the model where it has another name here, and its constants.
    """

    workload: str
    constants: Mapping[str, Any]
    small: Mapping[str, Any]
    batch_size: int = BATCH_SIZE
    tokens: int = 0
    model: str = ""
    model_constants: Mapping[str, Any] = field(default_factory=dict)

    def made(self, name: str, *, small: bool = False) -> Workload:
        """The workload, with the model of that name."""
        constants = self.small if small else self.constants
        return make_workload(self.workload, self.model or name, self.model_constants, **constants)


def images(channels: int, side: int, model: str = "", **model_constants: Any) -> Problem:
    """Images of that size, in clusters."""
    constants = {"shape": (channels, side, side), "examples": EXAMPLES}
    small = {"shape": (channels, 8, 8), "examples": 64}
    return Problem("synthetic", constants, small, model=model, model_constants=model_constants)


# 800 rows have 129 windows to train on.
FORECASTS = Problem(
    "series", {"rows": 800, "test_examples": EXAMPLES // 4}, {"rows": 250, "context": 32, "horizon": 8}
)
PROBLEMS: Mapping[str, Problem] = {
    "mlp": images(1, 8),
    "convnet": images(1, 8),
    "small-vit": images(1, 8, "vit", patch=2, width=32, layers=2, heads=2),
    "vit": images(1, 8),
    "resnet20": images(3, 32),
    "dlinear": FORECASTS,
    "nlinear": FORECASTS,
    "patchtst": FORECASTS,
    "llama": Problem(
        "text",
        {"context": 32, "length": 2**16, "eval_windows": 4},
        {"context": 8, "length": 4000, "eval_windows": 4},
        batch_size=4,
        tokens=32,
    ),
}
"""What each measured model sees: images, windows of 336 rows of seven variables with 96 to forecast, or text.

`llama` has its smallest size. With more tokens a step, the plain loop is near the rate of matrix products.
"""
LEAST_STEPS = 12
"""A timed run is never shorter [steps], as no study is: recording is what takes time in fewer."""
LONGEST_RUN = 8.0
"""A width is skipped when its shortest run would take more than this many times the wanted time."""
RELATIVE = 1e-9
"""Allowed difference of fused and serial losses in float64: rounding, amplified by four steps of training."""


@dataclass(frozen=True)
class BenchTask:
    """What every process measures at the same time: one model at several fused widths.

    Attributes:
        rounds: how often each width is measured.
        seconds: about how long one measurement lasts [s].
    """

    model: str
    widths: tuple[int, ...]
    rounds: int
    seconds: float
    device: str


@dataclass
class Row:
    """Rates of one process at one width, one per round [cell steps / s]; `steps` are those of a fused run."""

    width: int
    steps: int
    plain: list[float] = field(default_factory=list)
    fused: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Skipped:
    """A width that was not measured, and why."""

    width: int
    reason: str


@dataclass(frozen=True)
class Rates:
    """What one process measured.

    Attributes:
        shape: of an example.
        difference: largest relative difference of fused and serial losses, in float64.
        parameters, flops_per_step: of one cell, by `FlopCounterMode`, forward and backward.
    """

    shape: tuple[int, ...]
    difference: float
    parameters: int
    flops_per_step: int
    rows: list[Row]
    skipped: list[Skipped]


class Company:
    """The processes that measure together: they wait for each other, and the first of them decides."""

    def __init__(self, barrier: Any, number: Any) -> None:
        self.barrier, self.number = barrier, number

    def meet(self) -> None:
        """Wait until all processes are here."""
        self.barrier.wait()

    def agree(self, rank: int, number: float) -> float:
        """The number of rank 0, in all processes."""
        if rank == 0:
            self.number.value = number
        self.meet()
        agreed = float(self.number.value)
        self.meet()
        return agreed


company = Company(threading.Barrier(1), SimpleNamespace(value=0.0))
"""Replaced in every process by `join`. Until then a process measures alone."""


def join(barrier: Any, number: Any) -> None:
    """Make this process one of several that measure together, with one thread each."""
    global company
    company = Company(barrier, number)
    torch.set_num_threads(1)


def measure(rank: int, task: BenchTask) -> Rates:
    """Rates of one process, the others doing the same at the same time.

    Raises:
        RuntimeError: fused training is not equal to serial training here, so its speed means nothing.
    """
    try:
        return measured(rank, task)
    except BaseException:
        company.barrier.abort()  # or the others would wait forever
        raise


def measured(rank: int, task: BenchTask) -> Rates:
    """The same, where an error leaves the other processes waiting."""
    difference = checked(task.model, task.device)
    workload = PROBLEMS[task.model].made(task.model)
    batch_size = PROBLEMS[task.model].batch_size
    plain = Plain(workload, task.device, batch_size)
    fused = Fused(workload, task.device, batch_size)
    rows: list[Row] = []
    skipped: list[Skipped] = []
    plain(task.seconds / 4)  # warm-up
    company.meet()
    pace = 1 / plain(task.seconds / 4)
    for width in task.widths:
        # The first process decides for all. With numbers of their own, some might skip what others measure.
        least = company.agree(rank, LEAST_STEPS * width * pace)
        if least > LONGEST_RUN * task.seconds:
            limit = f"{LONGEST_RUN:g} x {task.seconds:g} s"
            reason = f"{LEAST_STEPS} steps would take about {least:.0f} s, more than {limit}"
            skipped.append(Skipped(width, reason))
            continue
        try:
            row = Row(width, int(company.agree(rank, fused.steps_in(width, task.seconds))))
            for _ in range(task.rounds):
                company.meet()
                row.plain.append(plain(task.seconds))
                company.meet()
                row.fused.append(fused(width, row.steps))
        except torch.OutOfMemoryError:
            skipped.append(Skipped(width, "does not fit into the device's memory"))
            continue
        rows.append(row)
        pace = min(pace, 1 / max(row.fused))
    return Rates(
        tuple(workload.train_x[:1].shape[1:]),
        difference,
        plain.parameters,
        plain.flops_per_step(),
        rows,
        skipped,
    )


def checked(model: str, device: str) -> float:
    """Compare the losses of fused and serial training: three cells, four float64 steps, tiny examples.

    Returns:
        The largest relative difference.

    Raises:
        RuntimeError: it is larger than rounding.
    """
    lr_C = torch.tensor([1e-4, 1e-3, 1e-2], dtype=torch.float64)
    weight_decay_C = torch.tensor([0.0, 0.1, 1.0], dtype=torch.float64)
    problem = PROBLEMS[model]
    workload = problem.made(model, small=True)
    budget = Budget(steps=4, batch_size=8, points=4, precision="float64")
    parts = workload, make_transform("none"), make_optimizer("adamw"), budget

    def losses(train: Callable[..., Curves]) -> Tensor:
        return train(*parts, lr_C=lr_C, weight_decay_C=weight_decay_C, seed=0, device=device).loss_KC

    fused, serial = losses(train_fused), losses(train_serial)
    difference = float(((fused - serial) / serial).abs().max())
    if not difference <= RELATIVE:  # not `>`, which is False for NaN
        raise RuntimeError(
            f"{model}: fused and serial losses differ by {difference:.1e}, wanted at most {RELATIVE:g}; "
            "no speed is shown for wrong numbers"
        )
    return difference


class Plain:
    """The loop that an ordinary user would write: one model and `torch.optim.AdamW`.

    It has no transform and no evaluation, and never reads the loss, so it is the fastest loop of its kind.
    """

    def __init__(self, workload: Workload, device: str, batch_size: int = BATCH_SIZE) -> None:
        self.device, self.loss, self.prepared = device, workload.loss, workload.prepared
        self.model = workload.initial_model(0).to(device)
        self.rule = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.1)
        self.x, self.y = workload.train_x[:].to(device), workload.train_y.to(device)
        self.batches = batches(len(self.x), batch_size, seed=0)
        self.parameters = sum(p.numel() for p in self.model.parameters())

    def step(self, index_B: Tensor) -> None:
        """One optimizer step on the examples of a batch."""
        loss = self.loss(self.model(self.prepared(self.x[index_B], torch.float32)), self.y[index_B])
        self.rule.zero_grad()
        loss.backward()
        self.rule.step()

    @flushed_denormals()  # as the fused trainer does, so that both have it
    def __call__(self, seconds: float) -> float:
        """Train for that long [steps / s]."""
        done, started = 0, clock(self.device)
        while time.perf_counter() - started < seconds:
            for index_B in islice(self.batches, LEAST_STEPS):
                self.step(index_B)
            done += LEAST_STEPS
        return done / (clock(self.device) - started)

    def flops_per_step(self) -> int:
        """Floating-point operations of matrix products and convolutions in one step, forward and backward."""
        with FlopCounterMode(display=False) as counter:
            self.step(next(self.batches))
        return int(counter.get_total_flops())


class Fused:
    """Whole runs of `train_fused`.

    Stacking, the initial loss, every step, two evaluations and the judging of curves are in the time.
    """

    def __init__(self, workload: Workload, device: str, batch_size: int = BATCH_SIZE) -> None:
        self.parts, self.device = (workload, make_transform("none"), make_optimizer("adamw")), device
        self.batch_size = batch_size

    def __call__(self, width: int, steps: int) -> float:
        """Train that many cells for that many steps [cell steps / s]."""
        budget = Budget(steps=steps, batch_size=self.batch_size, points=1)
        started = clock(self.device)
        train_fused(
            *self.parts,
            budget,
            lr_C=torch.logspace(-4, -2, width),
            weight_decay_C=torch.full((width,), 0.1),
            seed=0,
            device=self.device,
        )
        return width * steps / (clock(self.device) - started)

    def steps_in(self, width: int, seconds: float) -> int:
        """How many steps a run of that many seconds has; trying it out is the warm-up."""
        steps = LEAST_STEPS
        while (taken := width * steps / self(width, steps)) < seconds / 4:
            steps *= 4
        return max(LEAST_STEPS, round(steps * seconds / taken))


def clock(device: str) -> float:
    """The time when all work given to the device is done [s]."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def matrix_product_rate(rank: int, dtype: str, seconds: float, device: str) -> float:
    """What a square matrix product reaches, the other processes computing theirs at the same time [FLOP / s].

    The best of many counts, because it is the limit that shares are taken of.
    """
    # Large enough that starting a kernel, or a thread, does not count.
    size = 8192 if torch.device(device).type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
    a @ b
    company.meet()
    fastest, until = float("inf"), clock(device) + seconds
    while (started := clock(device)) < until:
        a @ b
        fastest = min(fastest, clock(device) - started)
    return 2 * size**3 / fastest
