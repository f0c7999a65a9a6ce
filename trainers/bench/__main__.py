"""The command line of `python -m trainers.bench`."""

from __future__ import annotations

import argparse
import json
import sys

import torch

from trainers.bench.comparison import bench
from trainers.bench.rates import PROBLEMS
from trainers.bench.table import as_markdown, as_text


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.bench",
        description="Cells per second: fused training beside a plain loop, on the same cores.",
    )
    parser.add_argument("--models", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
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
            f"device {options.device!r} was asked for, but torch {torch.__version__} sees no CUDA device here"
            "; use --device cpu"
        )
    try:
        result = bench(
            options.models, sorted(set(options.widths)), options.rounds, options.seconds, options.device
        )
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print(as_markdown(result) if options.markdown else as_text(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
