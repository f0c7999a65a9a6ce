"""Plain and fused rates of all processes together, summed, and the machine that they were measured on."""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, TypeVar

import torch

from trainers.bench.rates import (
    BATCH_SIZE,
    EXAMPLES,
    PROBLEMS,
    RELATIVE,
    BenchTask,
    Rates,
    Skipped,
    join,
    matrix_product_rate,
    measure,
)

T = TypeVar("T")
CELL_STEPS = 200
"""Steps of the budget that makes a cell, where a rate is given in cells per second."""
LARGEST_ON_CPU = {"resnet20": 16, "patchtst": 4}
"""Widths beyond these are not tried on a CPU."""


def bench(models: list[str], widths: list[int], rounds: int, seconds: float, device: str) -> dict[str, Any]:
    """Measure everything; the dictionary is what `--json` prints."""
    processes = (os.cpu_count() or 1) if device == "cpu" else 1
    context = multiprocessing.get_context("spawn")
    shared = (context.Barrier(processes), context.Value("d", 0.0))
    with ProcessPoolExecutor(processes, mp_context=context, initializer=join, initargs=shared) as pool:

        def together(measurement: Callable[[int], T]) -> list[T]:
            """What the measurement gives in each process; the first real failure is raised."""
            futures = [pool.submit(measurement, rank) for rank in range(processes)]
            failures = [future.exception() for future in futures]
            # One process fails, and all others with a broken barrier, which says nothing.
            for failure in sorted(failures, key=lambda failure: isinstance(failure, BrokenBarrierError)):
                if failure is not None:
                    raise failure
            return [future.result() for future in futures]

        products = {
            dtype: sum(together(partial(matrix_product_rate, dtype=dtype, seconds=seconds, device=device)))
            for dtype in ("float32", "bfloat16")
        }
        found = []
        for model in models:
            limit = LARGEST_ON_CPU.get(model, max(widths)) if device == "cpu" else max(widths)
            task = BenchTask(model, tuple(w for w in widths if w <= limit), rounds, seconds, device)
            found.append(summary(task, together(partial(measure, task=task)), products["float32"]))
            too_wide = [Skipped(w, "too much for a CPU") for w in widths if w > limit]
            found[-1]["skipped"] += [asdict(each) for each in too_wide]
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
    cpu = processor()
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


def processor() -> str:
    """The name of the CPU; on Linux from /proc, because Python knows its architecture alone."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def summary(task: BenchTask, parts: list[Rates], product_rate: float) -> dict[str, Any]:
    """Sums over processes, and median, least and greatest over rounds."""
    flops, rows, problem = parts[0].flops_per_step, [], PROBLEMS[task.model]
    for same in zip(*(part.rows for part in parts), strict=True):
        plain = summed([row.plain for row in same])
        fused = summed([row.fused for row in same])
        row: dict[str, Any] = {
            "width": same[0].width,
            "steps": same[0].steps,
            "ratio": spread([f / p for f, p in zip(fused, plain, strict=True)]),
        }
        for kind, rate in (("plain", plain), ("fused", fused)):
            row[kind] = {
                "cells_per_s": spread([r / CELL_STEPS for r in rate]),
                "images_per_s": spread([r * problem.batch_size for r in rate]),
                "share": spread([r * flops / product_rate for r in rate]),
            }
            if problem.tokens:
                row[kind]["tokens_per_s"] = spread([r * problem.batch_size * problem.tokens for r in rate])
        rows.append(row)
    return {
        "model": task.model,
        "shape": list(parts[0].shape),
        "parameters": parts[0].parameters,
        "flop_per_step": flops,
        "batch_size": problem.batch_size,
        "difference": max(part.difference for part in parts),
        "rows": rows,
        "skipped": [asdict(each) for each in parts[0].skipped],
    }


def summed(rates: list[list[float]]) -> list[float]:
    """The rates of all processes, one list each, added round by round."""
    return [sum(each) for each in zip(*rates, strict=True)]


def spread(values: list[float]) -> dict[str, Any]:
    """Median, extremes and the values themselves."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": values}
