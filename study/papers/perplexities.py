"""What papers printed of language models: validation perplexities with the recipe behind them, as data.

Add a published table by adding a row of `TABLES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

FP16, BF16 = ("float16", "none"), ("bfloat16", "none")
FP4, INT4 = ("float32", "fp4_stable_spam"), ("float32", "int4")
Arithmetic = tuple[str, str]
"""Precision and quantization, as a budget names them. Quantized training is in any precision."""
NAMES: Mapping[Arithmetic, str] = {FP16: "FP16", BF16: "BF16", FP4: "FP4", INT4: "INT4"}
"""As the papers call them."""

Constants = tuple[tuple[str, float], ...]
"""Those of a transform, sorted by name."""


@dataclass(frozen=True)
class Recipe:
    """How a paper trained, as far as it says so.

    Attributes:
        vocabulary: different tokens of its tokenizer.
        context: length of a window [tokens]. batch_size: windows per step.
        steps: by size of the model, where the paper says. warmup: steps of it.
        floor: where the cosine ends, as a share of lr.
    """

    data: str
    vocabulary: int
    context: int
    batch_size: int
    steps: Mapping[str, int]
    warmup: int
    floor: float
    schedule: str = "cosine"


@dataclass(frozen=True)
class Printed:
    """One printed perplexity.

    Attributes:
        size: of the model, by its name here.
        optimizer, transform: of this project; no transform where it has none of that kind.
        method: as the paper calls it.
    """

    size: str
    arithmetic: Arithmetic
    optimizer: str
    method: str
    transform: str
    lr: float
    weight_decay: float
    value: float


@dataclass(frozen=True)
class PerplexityTable:
    """A table of a paper.

    Attributes:
        decimals: to which the numbers were rounded.
        seeds: behind each number; None where the paper does not say.
        unknown: what the paper leaves open.
        constants: of its transforms, by their name, where they are not the defaults here.
    """

    id: str
    source: str
    title: str
    recipe: Recipe
    rows: tuple[Printed, ...]
    unknown: tuple[str, ...]
    decimals: int = 2
    seeds: int | None = None
    constants: Mapping[str, Constants] = field(default_factory=dict)


Column = tuple[str, Arithmetic, float]
"""Size, arithmetic and learning rate of a column."""
Lines = Mapping[tuple[str, str], Sequence[float]]
"""By the paper's name of a method and the transform of this project, the numbers of its line."""


def by_line(
    optimizer: str, weight_decay: float, columns: Sequence[Column], lines: Lines
) -> tuple[Printed, ...]:
    """The rows of a table whose lines are methods, column by column."""
    return tuple(
        Printed(size, arithmetic, optimizer, method, transform, lr, weight_decay, values[k])
        for k, (size, arithmetic, lr) in enumerate(columns)
        for (method, transform), values in lines.items()
    )


NONE, VALUE, NORM = "none", "clip_value", "clip_norm"
GS, STABLE = "gradient_stabilizer", "stable_spam"
C4_256 = Recipe("C4", 32_000, 256, 512, {"130m": 20_000, "350m": 60_000}, 2_000, 0.1)
EVERY_2B = replace(C4_256, steps=dict.fromkeys(("130m", "350m", "1b"), 20_000))
"""Stable-SPAM's four-bit models saw 2.2 billion tokens at every size, as the stabilizer's 130M did."""
STABILIZER = "Huang et al., GradientStabilizer, arXiv:2502.17055v4, 2026"
STABLE_SPAM = "Huang et al., Stable-SPAM, arXiv:2502.17055v1, 2025"
BOTH: tuple[Column, ...] = (
    ("130m", FP16, 1e-3),
    ("350m", FP16, 1e-3),
    ("130m", FP4, 1e-3),
    ("350m", FP4, 1e-3),
)
FOUR_BIT: tuple[Column, ...] = tuple(
    (size, bits, lr) for bits in (INT4, FP4) for size, lr in (("130m", 1e-3), ("350m", 4e-4), ("1b", 2e-4))
)
WIDE: tuple[Column, ...] = tuple(
    (size, BF16, lr) for size, lr in (("60m", 1e-3), ("130m", 8e-4), ("350m", 4e-4), ("1b", 2e-4))
)
SIXTY: tuple[Column, ...] = (("60m", FP4, 1e-3), ("60m", BF16, 1e-3))
OTHERS: tuple[Column, ...] = tuple((size, bits, 1e-3) for bits in (INT4, FP4) for size in ("60m", "130m"))
OPEN = (
    "how many seeds are behind a number, and how much it varies",
    "which linear layers are quantized",
)

TABLES: tuple[PerplexityTable, ...] = (
    PerplexityTable(
        "stabilizer-table-1",
        STABILIZER,
        "Table 1: validation perplexity of LLaMA on C4",
        C4_256,
        # The paper's lines are methods, its columns FP16 130M and 350M, FP4 130M and 350M.
        by_line(
            "adam",
            0.0,
            BOTH,
            {
                ("Adam", NONE): (24.60, 19.04, 29.02, 21.57),
                ("+Value", VALUE): (24.48, 19.01, 28.95, 20.48),
                ("+Norm", NORM): (24.17, 18.84, 28.31, 22.29),
                ("+AGC", "agc"): (24.32, 18.76, 28.52, 19.24),
                ("+ZClip", "zclip"): (24.16, 18.62, 28.34, 19.23),
                ("+GradientStabilizer", GS): (23.32, 17.83, 26.82, 18.89),
            },
        )
        + by_line(
            "adamw",
            0.01,
            BOTH,
            {
                ("AdamW", NONE): (24.31, 19.21, 28.72, 21.35),
                ("+Value", VALUE): (24.34, 19.15, 28.72, 21.84),
                ("+Norm", NORM): (23.86, 18.98, 28.05, 20.13),
                ("+AGC", "agc"): (24.09, 18.90, 28.26, 19.42),
                ("+ZClip", "zclip"): (23.89, 18.89, 28.04, 21.39),
                ("+GradientStabilizer", GS): (23.14, 17.80, 26.66, 18.84),
            },
        ),
        (*OPEN, "whether ZClip kept the norm clipping of its own code"),
    ),
    PerplexityTable(
        "stabilizer-table-4",
        STABILIZER,
        "Table 4: validation perplexity with other optimizers, FP4",
        C4_256,
        by_line(
            "adam_mini",
            0.0,
            BOTH[2:],
            {
                ("Adam-mini", NONE): (31.66, 20.36),
                ("+Value", VALUE): (31.52, 20.99),
                ("+Norm", NORM): (30.54, 21.03),
                ("+AGC", "agc"): (30.41, 21.84),
                ("+ZClip", "zclip"): (30.50, 21.14),
                ("+GradientStabilizer", GS): (27.75, 18.64),
            },
        )
        + by_line(
            "lion",
            0.0,
            BOTH[2:],
            {
                ("Lion", NONE): (28.52, 23.59),
                ("+Value", VALUE): (28.32, 23.20),
                ("+Norm", NORM): (28.23, 22.98),
                ("+AGC", "agc"): (28.33, 23.20),
                ("+ZClip", "zclip"): (28.16, 23.13),
                ("+GradientStabilizer", GS): (26.72, 22.75),
            },
        ),
        (*OPEN, "lr and weight decay of these optimizers; those of Adam stand here"),
    ),
    PerplexityTable(
        "stable-spam-4-bit",
        STABLE_SPAM,
        "validation perplexity of LLaMA on C4 in four bits",
        EVERY_2B,
        by_line(
            "adam",
            0.0,
            FOUR_BIT,
            {
                ("Adam", NONE): (26.4, 24.14, 21.59, 28.9, 24.59, 22.01),
                ("Adam+GradClip", NORM): (26.30, 21.64, 19.74, 28.27, 20.84, 20.25),
                ("Adafactor", ""): (25.11, 20.45, 20.65, 26.89, 20.53, 20.03),
                ("SPAM", "spam"): (25.03, 20.19, 19.98, 26.78, 20.35, 19.74),
                ("Stable-SPAM", STABLE): (24.33, 17.76, 17.42, 26.31, 19.49, 18.48),
            },
        )
        + by_line("adam", 0.0, WIDE[1:], {("Adam-BF16", NONE): (24.53, 21.38, 19.73)}),
        OPEN,
    ),
    PerplexityTable(
        "stable-spam-bf16",
        STABLE_SPAM,
        "validation perplexity of LLaMA on C4 in BF16",
        C4_256,
        by_line("adam_mini", 0.0, WIDE, {("Adam-mini", NONE): (34.10, 24.85, 19.05, 16.07)})
        + by_line(
            "adam",
            0.0,
            WIDE,
            {
                ("Adam", NONE): (34.09, 24.91, 18.77, 16.13),
                ("Adam+GradClip", NORM): (33.33, 24.88, 18.51, 15.22),
                ("Adafactor", ""): (32.57, 23.98, 17.74, 15.19),
                ("SPAM", "spam"): (30.46, 23.36, 17.42, 14.66),
                ("Stable-SPAM", STABLE): (28.84, 22.21, 16.85, 13.90),
            },
        ),
        OPEN,
        constants={STABLE: (("gamma1", 0.85), ("gamma2", 0.99999))},
    ),
    PerplexityTable(
        "stable-spam-ablation",
        STABLE_SPAM,
        "validation perplexity of its parts, 60M",
        C4_256,
        by_line(
            "adam",
            0.0,
            SIXTY,
            {
                ("Adam", NONE): (35.47, 34.09),
                ("+MoRet", ""): (32.4, 31.47),
                ("+MoRet+AdaClip", ""): (31.97, 30.29),
                ("+MoRet+AdaGN", ""): (32.26, 28.96),
                ("+MoRet+AdaClip+AdaGN", STABLE): (31.40, 28.84),
                ("AdaClip -> SpikeClip", ""): (32.01, 28.90),
                ("AdaGN -> GradClip", ""): (31.95, 29.87),
            },
        ),
        OPEN,
    ),
    PerplexityTable(
        "stable-spam-others",
        STABLE_SPAM,
        "validation perplexity of AdaGN+AdaClip with other optimizers",
        C4_256,
        by_line(
            "lion",
            0.0,
            OTHERS,
            {
                ("Lion", NONE): (39.36, 35.28, 39.89, 34.20),
                ("+AdaGN+AdaClip", ""): (38.49, 29.40, 36.75, 31.63),
            },
        )
        + by_line(
            "adam_mini",
            0.0,
            OTHERS,
            {
                ("Adam-mini", NONE): (34.84, 29.79, 36.37, 32.95),
                ("+AdaGN+AdaClip", ""): (34.61, 29.65, 34.65, 32.39),
            },
        ),
        (*OPEN, "lr and weight decay of these optimizers; those of Adam stand here"),
    ),
)
"""Every table of perplexities that `study table` knows."""
