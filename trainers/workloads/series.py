"""Forecasts of several variables from their past: windows of a CSV file, or of generated series."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor, nn

from trainers.naming import check_range, look_up, short
from trainers.workloads.base import Workload, derived_seed
from trainers.workloads.pixels import place, subset
from trainers.workloads.spreadsheet import Spreadsheet
from trainers.workloads.windows import windows

MONTH = 30 * 24
"""Rows of a month of hourly values, as the official splits count them."""
SPLITS: dict[str, tuple[int, ...]] = {
    "ett_hourly": (12 * MONTH, 16 * MONTH, 20 * MONTH),
    "ett_quarter_hourly": (48 * MONTH, 64 * MONTH, 80 * MONTH),
    "shares": (),
}
"""Where the training, validation and test rows end; `shares` are 70, 10 and 20 % of the file."""
PARTS = ("test", "validation")
"""What may be evaluated on."""
DAY, WEEK = 24, 168
"""Periods of the generated series [rows]."""


def series(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    file: str | None = None,
    context: int = 336,
    horizon: int = 96,
    split: str | None = None,
    evaluate: str = "test",
    drop_last: int = 0,
    test_examples: int | None = None,
    rows: int = 4000,
    variables: int = 7,
    seed: int = 0,
) -> Workload:
    """Forecasting: `horizon` rows of all variables from the `context` rows before them.

    Values are standardised by mean and deviation of each variable over the training rows. The loss is the
    mean squared error of the standardised values, and so is the metric, over every window of the test rows.
    Its chance level is that of predicting the training mean, measured on the same windows. The first
    contexts of a later part reach back into the part before, as in the official loaders.

    Args:
        model: builds a network from the shape of an example, (context, variables), and the horizon; it gives
            [B, horizon, variables].
        model_name: the name of that network.
        file: a CSV file whose first column is `date`, in rising order, and whose others are numbers (the
            layout of ETT and Weather). Each row is one step, however far apart two dates are. A relative
            path begins in the environment's STABILITY_STUDY_DATA or, without that, in the current folder. If
            not given, series are generated.
        context, horizon: lengths, >= 1 [rows].
        split: a name of `SPLITS`. If not given, the official one: `ett_hourly` for files whose names begin
            with ETTh, `ett_quarter_hourly` for ETTm, else `shares`.
        evaluate: `test` or `validation`.
        drop_last: evaluate on as many whole batches of this size as there are, and not on the windows of the
            last smaller one, as loaders with `drop_last=True` did (PatchTST's size is 128); the metric is
            then called `mse_of_whole_batches`. 0 evaluates on every window.
        test_examples: evaluate on so many of these windows, drawn once for everybody; if not given, on all.
        rows, variables, seed: of the generated series: how many rows and variables, and what decides them.

    Raises:
        ValueError: the file cannot be used (the message says where), or a constant is out of range.

    Reference: Zhou et al., "Informer", 2021 (ETT); the loaders of PatchTST, `data_provider/data_loader.py`.
    Differs from the reference: every window is scored, unless `drop_last` is given.
    """
    check_range("series", 1, context=context, horizon=horizon)
    check_range("series", 0, drop_last=drop_last)
    if evaluate not in PARTS:
        raise ValueError(f"series: evaluate is {short(evaluate)}; wanted {' or '.join(PARTS)}")
    if file is None:
        name, table = "the generated series", generated(rows, variables, seed)
        split = "shares" if split is None else split
    else:
        found = Spreadsheet.read(place(file))
        name, table = str(found.path), found.numbers
        split = official(file) if split is None else split
    ends = ends_of(name, len(table), split)
    first, last = (ends[1], ends[2]) if evaluate == "test" else (ends[0], ends[1])
    check_length(name, "training", ends[0], context + horizon, "context and horizon together")
    check_length(name, evaluate, last - first, horizon, "horizon")
    if file is not None:
        found.check_spread(ends[0])
    scaled = standardised(table, ends[0])
    if file is not None:
        found.check_scaled(scaled)
    train_x, train_y = windows(scaled[: ends[0]], context, horizon)
    eval_x, eval_y = windows(scaled[max(0, first - context) : last], context, horizon)
    if drop_last:
        kept = len(eval_x) // drop_last * drop_last
        if not kept:
            raise ValueError(
                f"series: drop_last is {drop_last} and {name} has {len(eval_x)} {evaluate} windows; "
                "wanted at most that, or 0 for all"
            )
        eval_x, eval_y = eval_x[:kept], eval_y[:kept]
    if test_examples is not None:
        held = subset("series", "test_examples", test_examples, len(eval_x))
        eval_x, eval_y = eval_x[held], eval_y[held]
    shape = (context, table.shape[1])
    widest = largest_layer(model, model_name, train_x[:2], horizon)
    return Workload(
        name=f"series/{model_name}",
        build=lambda: model(shape, horizon),
        train_x=train_x,
        train_y=train_y,
        eval_x=eval_x,
        eval_y=eval_y,
        loss=squared_error,
        score=mean_squared_error,
        metric_name="mse_of_whole_batches" if drop_last else "mse",
        higher_is_better=False,
        chance=float(eval_y.double().square().mean()),
        output_numbers=widest,
    )


def official(file: str) -> str:
    """The official split of a file, by its name."""
    stem = PurePath(file).stem
    prefixes = {"ETTh": "ett_hourly", "ETTm": "ett_quarter_hourly"}
    return next((split for prefix, split in prefixes.items() if stem.startswith(prefix)), "shares")


def ends_of(name: str, rows: int, split: str) -> tuple[int, int, int]:
    """Where the training, validation and test rows end.

    Raises:
        ValueError: unknown split, or the series is too short for it.
    """
    fixed = look_up("split of series", split, SPLITS)
    if not fixed:
        # Truncated as in the official loader, which gives what is left to validation.
        training, test = int(rows * 0.7), int(rows * 0.2)
        return training, rows - test, rows
    training, validation, test = fixed
    if rows < test:
        raise ValueError(
            f"{name} has {rows:,} rows; the split {split} needs {test:,}: give split: shares, or another file"
        )
    return training, validation, test


def check_length(name: str, part: str, there: int, wanted: int, words: str) -> None:
    """Refuse a part without a single window.

    Raises:
        ValueError: always then.
    """
    if there < wanted:
        raise ValueError(
            f"{name} has {there:,} {part} rows, too few for one window; wanted at least {wanted:,} ({words})"
        )


def standardised(table: Tensor, training: int) -> Tensor:
    """(x − mean) / deviation of each variable, by those of the training rows; float32.

    Sums are exact, so that every machine gets the same bits.
    """
    columns = table[:training].T.tolist()
    mean = [math.fsum(column) / training for column in columns]
    deviation = [
        math.sqrt(math.fsum((value - centre) ** 2 for value in column) / training)
        for column, centre in zip(columns, mean, strict=True)
    ]
    centre, spread = torch.tensor([mean, deviation], dtype=torch.float64)
    scaled: Tensor = (table - centre) / spread
    return scaled.float()


def largest_layer(
    model: Callable[[tuple[int, ...], int], nn.Module], model_name: str, x: Tensor, horizon: int
) -> int:
    """How many numbers the widest layer of a network gives for one window; a transformer's are many.

    Raises:
        ValueError: the network makes something else than forecasts of windows.
    """
    wanted, sizes = [len(x), horizon, x.shape[2]], [0]

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel() // len(x))

    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            network = model(tuple(x.shape[1:]), horizon).eval()
            for layer in network.modules():
                layer.register_forward_hook(note)
            shape = list(network(x).shape)
    except (RuntimeError, IndexError, TypeError) as error:
        shape = [next(iter(str(error).splitlines()), "")[:100]]
    if shape != wanted:
        raise ValueError(
            f"series: the model {model_name} makes {shape} of {len(x)} windows; wanted {wanted}: "
            "take one for series, such as dlinear, nlinear or patchtst"
        )
    return max(sizes)


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """The mean over all entries."""
    return (output - target).square().mean()


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """The mean over each example's entries, [B]."""
    return (output - target).square().mean((1, 2))


def generated(rows: int, variables: int, seed: int) -> Tensor:
    """Series [rows, variables] with days and weeks, correlated noise and shifts of their level.

        x = Σ_p a_p sin(2π t / p + φ_p) + e + level,   e_t = 0.8 e_{t-1} + 0.3 noise,   p = 24, 168

    Amplitudes are uniform in [0.5, 1.5], phases uniform; the level moves by a standard normal number about
    every 500 rows.

    Raises:
        ValueError: a number is out of range.
    """
    check_range("series", 10, rows=rows)
    check_range("series", 1, variables=variables)
    generator = torch.Generator().manual_seed(derived_seed(seed, "generated series"))

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    t = torch.arange(rows, dtype=torch.float64).unsqueeze(1)
    table = torch.zeros(rows, variables, dtype=torch.float64)
    for period in (DAY, WEEK):
        phase = 2 * math.pi * drawn(variables)
        table += (0.5 + drawn(variables)) * torch.sin(2 * math.pi * t / period + phase)
    noise = 0.3 * normal(rows, variables)
    for k in range(1, rows):
        noise[k] += 0.8 * noise[k - 1]
    jumps = torch.where(drawn(rows, variables) < 1 / 500, normal(rows, variables), 0.0)
    # Rounded, because sines and normal numbers differ between machines in their last digits.
    return (table + noise + jumps.cumsum(0)).round(decimals=6)
