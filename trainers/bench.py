"""The speed of fused training beside a plain loop, on this machine: `python -m trainers.bench`.

Plain: one ordinary `torch.optim.AdamW` loop per core (on CUDA one for the device), each process with one thread. Fused: one process per
core (or one for the device) that trains a tile by `train_fused`. All processes run at the same time and their rates are summed, so that
both keep the same cores busy; plain and fused take turns in every round. A fused run is timed as a whole: copying the initial weights,
the initial loss, every step, evaluation before and after on 32 images, and the judging of curves; the plain loop is steps alone. (In a
run of five steps, the shortest, the rest is about a tenth of the work.) A cell is a budget of 200 steps of 64 images, in float32. Shares
are of the rate that a float32 matrix product reaches on the same cores; the work counted for them is that of matrix products and
convolutions, forward and backward.

No speed is shown unless fused and serial losses agree in float64, in every process and for every model.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import torch

from trainers.rates import BATCH_SIZE, EXAMPLES, RELATIVE, SHAPES, Job, join, matrix_product_rate, measure

CELL_STEPS = 200
"""Steps of the budget that makes a cell, where a rate is given in cells per second."""
LARGEST_ON_CPU = {"resnet20": 16}
"""Widths beyond these are not tried on a CPU."""


def bench(models: list[str], widths: list[int], rounds: int, seconds: float, device: str) -> dict[str, Any]:
    """Measure everything; the dictionary is what `--json` prints."""
    processes = (os.cpu_count() or 1) if device == "cpu" else 1
    context = multiprocessing.get_context("spawn")
    shared = (context.Barrier(processes), context.Value("d", 0.0))
    with ProcessPoolExecutor(processes, mp_context=context, initializer=join, initargs=shared) as pool:

        def together(task: Callable[[int], Any]) -> list[Any]:
            """What the task gives in each process; the first real failure is raised."""
            futures = [pool.submit(task, rank) for rank in range(processes)]
            errors = [error for error in (future.exception() for future in futures) if error is not None]
            for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
                raise error
            return [future.result() for future in futures]

        products = {
            dtype: sum(together(partial(matrix_product_rate, dtype=dtype, seconds=seconds, device=device)))
            for dtype in ("float32", "bfloat16")
        }
        found = []
        for model in models:
            limit = LARGEST_ON_CPU.get(model, max(widths)) if device == "cpu" else max(widths)
            job = Job(model, tuple(w for w in widths if w <= limit), rounds, seconds, device)
            found.append(summary(job, together(partial(measure, job=job)), products["float32"]))
            found[-1]["skipped"] += [
                {"width": w, "reason": "too much for a CPU"} for w in widths if w > limit
            ]
    return {
        "machine": machine(device, processes),
        "n": rounds,
        "seconds": seconds,
        "cell": {
            "steps": CELL_STEPS,
            "batch_size": BATCH_SIZE,
            "precision": "float32",
            "optimizer": "adamw",
            "transform": "none",
        },
        "evaluation_images": EXAMPLES // 4,
        "tolerance": RELATIVE,
        "matrix_product_flop_per_s": products,
        "models": found,
    }


def machine(device: str, processes: int) -> dict[str, Any]:
    """What was measured on."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {
        "device": cpu if device == "cpu" else torch.cuda.get_device_name(device),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "processes": processes,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def summary(job: Job, parts: list[dict[str, Any]], product_rate: float) -> dict[str, Any]:
    """Sums over processes, and median, least and greatest over rounds."""
    flops, rows = parts[0]["flops_per_step"], []
    for same in zip(*(part["rows"] for part in parts), strict=True):
        plain, fused = (
            [sum(each) for each in zip(*(row[kind] for row in same), strict=True)]
            for kind in ("plain", "fused")
        )
        row: dict[str, Any] = {
            "width": same[0]["width"],
            "steps": same[0]["steps"],
            "ratio": spread([f / p for f, p in zip(fused, plain, strict=True)]),
        }
        for kind, rate in (("plain", plain), ("fused", fused)):
            row[kind] = {
                "cells_per_s": spread([r / CELL_STEPS for r in rate]),
                "images_per_s": spread([r * BATCH_SIZE for r in rate]),
                "share": spread([r * flops / product_rate for r in rate]),
            }
        rows.append(row)
    return {
        "model": job.model,
        "shape": list(SHAPES[job.model]),
        "parameters": parts[0]["parameters"],
        "flop_per_step": flops,
        "difference": max(part["difference"] for part in parts),
        "rows": rows,
        "skipped": parts[0]["skipped"],
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Median, extremes and the values themselves."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": values}


def shown(found: dict[str, Any], scale: float = 1.0, unit: str = "") -> str:
    """`median (least-greatest)` with three digits; of a single round, its value."""

    def digits(value: float) -> str:
        return f"{value * scale:,.0f}" if value * scale >= 100 else f"{value * scale:.3g}"

    if len(found["rounds"]) == 1:
        return f"{digits(found['median'])}{unit}"
    return f"{digits(found['median'])}{unit} ({digits(found['min'])}-{digits(found['max'])})"


def conditions(result: dict[str, Any]) -> str:
    """The sentence that stands before any figure."""
    at, products = result["machine"], result["matrix_product_flop_per_s"]
    load = "" if at["load_average"] is None else f", load average {at['load_average']:.1f} at the end"
    return (
        f"{at['device']}, {at['cores']} cores, {at['processes']} processes of one thread{load}; torch {at['torch']}, Python {at['python']}; n = {result['n']} rounds of about "
        f"{result['seconds']:g} s each, medians (least-greatest). Steps are those of a timed fused run; a cell is {CELL_STEPS} steps of {BATCH_SIZE} images in float32. Shares are of the measured float32 matrix "
        f"product, {products['float32'] / 1e9:,.0f} GFLOP/s (bfloat16: {products['bfloat16'] / 1e9:,.0f}). Fused losses equal serial ones to {RELATIVE:g} in float64."
    )


def table(result: dict[str, Any]) -> list[list[str]]:
    """A heading, and one line per model and width."""
    lines = [
        [
            "model",
            "cells fused",
            "steps",
            "plain cells/s",
            "fused cells/s",
            "ratio",
            "plain images/s",
            "fused images/s",
            "plain share",
            "fused share",
        ]
    ]
    for found in result["models"]:
        for row in found["rows"]:
            plain, fused = row["plain"], row["fused"]
            shares = [shown(kind["share"], 100, " %") for kind in (plain, fused)]
            names = [found["model"], str(row["width"]), str(row["steps"])]
            images = [shown(kind["images_per_s"]) for kind in (plain, fused)]
            lines.append(
                [
                    *names,
                    shown(plain["cells_per_s"]),
                    shown(fused["cells_per_s"]),
                    shown(row["ratio"]),
                    *images,
                    *shares,
                ]
            )
    return lines


def skipped(result: dict[str, Any]) -> list[str]:
    """One line per width that was left out."""
    return [
        f"skipped: {found['model']}, {each['width']} cells: {each['reason']}"
        for found in result["models"]
        for each in found["skipped"]
    ]


def as_text(result: dict[str, Any]) -> str:
    """For a terminal: aligned columns."""
    lines = table(result)
    sizes = [max(len(entry) for entry in column) for column in zip(*lines, strict=True)]
    rows = [
        "  ".join(
            entry.ljust(size) if k == 0 else entry.rjust(size)
            for k, (entry, size) in enumerate(zip(line, sizes, strict=True))
        )
        for line in lines
    ]
    return "\n".join(
        [conditions(result).replace("; ", ";\n").replace(". ", ".\n"), "", *rows, *skipped(result)]
    )


def as_markdown(result: dict[str, Any]) -> str:
    """For a README: the conditions, and a table."""
    head, *rows = (f"| {' | '.join(line)} |" for line in table(result))
    return "\n".join(
        [
            conditions(result),
            "",
            head,
            f"|---|{'---:|' * (len(table(result)[0]) - 1)}",
            *rows,
            *(f"\n{line}" for line in skipped(result)),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.bench",
        description="Cells per second: fused training beside a plain loop, on the same cores.",
    )
    parser.add_argument("--models", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument(
        "--widths", nargs="+", type=int, default=[1, 4, 16, 64, 256], help="cells per fused run"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is measured: its n")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long one measurement lasts [s]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:K")
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--json", action="store_true", help="one JSON object")
    style.add_argument("--markdown", action="store_true", help="a table for a README")
    options = parser.parse_args(arguments)
    if min(options.widths) < 1 or options.rounds < 1 or not options.seconds > 0:
        parser.error("widths and rounds must be at least 1, seconds more than 0")
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error(
            f"device {options.device!r} was asked for, but torch {torch.__version__} sees no CUDA device here; use --device cpu"
        )
    try:
        result = bench(
            options.models, sorted(set(options.widths)), options.rounds, options.seconds, options.device
        )
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(
        json.dumps(result, indent=1)
        if options.json
        else as_markdown(result)
        if options.markdown
        else as_text(result)
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
