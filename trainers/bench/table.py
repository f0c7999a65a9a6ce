"""What was measured, as aligned columns for a terminal or as a table for a README."""

from __future__ import annotations

from typing import Any

from trainers.bench.comparison import CELL_STEPS
from trainers.bench.rates import BATCH_SIZE, PROBLEMS, RELATIVE


def shown(found: dict[str, Any], scale: float = 1.0, unit: str = "") -> str:
    """`median (least-greatest)` with three digits; of a single round, its value."""

    def digits(value: float) -> str:
        return f"{value * scale:,.0f}" if value * scale >= 100 else f"{value * scale:.3g}"

    if len(found["rounds"]) == 1:
        return f"{digits(found['median'])}{unit}"
    return f"{digits(found['median'])}{unit} ({digits(found['min'])}-{digits(found['max'])})"


def conditions(result: dict[str, Any]) -> str:
    """The sentences before any figure: where and how it was measured."""
    at, products = result["machine"], result["matrix_product_flop_per_s"]
    load = "" if at["load_average"] is None else f", load average {at['load_average']:.1f} at the end"
    return (
        f"{at['device']}, {at['cores']} cores, {at['processes']} processes of one thread{load}; "
        f"torch {at['torch']}, Python {at['python']}; "
        f"n = {result['n']} rounds of about {result['seconds']:g} s each, medians (least-greatest). "
        "Steps are those of a timed fused run; "
        f"a cell is {CELL_STEPS} steps of {BATCH_SIZE} examples (images, or windows of series; "
        f"of llama {PROBLEMS['llama'].batch_size} windows of {PROBLEMS['llama'].tokens} tokens) in float32. "
        "Shares are of the measured float32 matrix product, "
        f"{products['float32'] / 1e9:,.0f} GFLOP/s (bfloat16: {products['bfloat16'] / 1e9:,.0f}). "
        f"Fused losses equal serial ones to {RELATIVE:g} in float64."
    )


HEADING = (
    "model",
    "cells fused",
    "steps",
    "plain cells/s",
    "fused cells/s",
    "ratio",
    "plain examples/s",
    "fused examples/s",
    "plain share",
    "fused share",
)


def table(result: dict[str, Any]) -> list[list[str]]:
    """A heading, and one line per model and width."""
    lines = [list(HEADING)]
    for found in result["models"]:
        for row in found["rows"]:
            plain, fused = row["plain"], row["fused"]
            lines.append(
                [
                    found["model"],
                    str(row["width"]),
                    str(row["steps"]),
                    shown(plain["cells_per_s"]),
                    shown(fused["cells_per_s"]),
                    shown(row["ratio"]),
                    shown(plain["images_per_s"]),
                    shown(fused["images_per_s"]),
                    shown(plain["share"], 100, " %"),
                    shown(fused["share"], 100, " %"),
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


def token_rates(result: dict[str, Any]) -> list[str]:
    """One line per width of a model of tokens: how many it reads in a second."""
    return [
        f"{found['model']}, {row['width']} cells: {shown(row['plain']['tokens_per_s'])} tokens/s plain, "
        f"{shown(row['fused']['tokens_per_s'])} fused"
        for found in result["models"]
        for row in found["rows"]
        if "tokens_per_s" in row["fused"]
    ]


def as_text(result: dict[str, Any]) -> str:
    """For a terminal: aligned columns."""
    lines = table(result)
    sizes = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = []
    for line in lines:
        name, *figures = line
        aligned = [figure.rjust(size) for figure, size in zip(figures, sizes[1:], strict=True)]
        rows.append("  ".join([name.ljust(sizes[0]), *aligned]))
    sentences = conditions(result).replace("; ", ";\n").replace(". ", ".\n")
    return "\n".join([sentences, "", *rows, *token_rates(result), *skipped(result)])


def as_markdown(result: dict[str, Any]) -> str:
    """For a README: the conditions, and a table."""
    head, *rows = (f"| {' | '.join(line)} |" for line in table(result))
    rule = f"|---|{'---:|' * (len(HEADING) - 1)}"
    notes = [f"\n{line}" for line in (*token_rates(result), *skipped(result))]
    return "\n".join([conditions(result), "", head, rule, *rows, *notes])
