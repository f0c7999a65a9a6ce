"""Published perplexities beside made-up studies of language models."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search_spaces import Cell
from study.home import Home
from study.papers.agreement import AGREES, DISAGREES, NOT_COMPARABLE, NOT_RUN
from study.papers.perplexities import FP4, FP16, TABLES
from study.papers.perplexity_rows import differences
from study.plan.cells import make_plan, settings
from study.spec.read import parse_spec
from tests.command import answer, study
from tests.fabricated import record_of
from trainers.models.llama import SIZES
from trainers.optimizers import OPTIMIZERS
from trainers.transforms import TRANSFORMS

SMALL = """
name: small
workload: {name: text, context: 64}
model: llama
optimizer: adamw
transforms: [none, clip_norm, gradient_stabilizer]
lr: [1e-3, 1e-2]
weight_decay: [0, 1e-2]
seeds: 3
budget: {steps: 100, batch_size: 8, precision: float16}
"""
PAPER = """
name: paper
workload: {name: text, file: c4.bin, vocabulary: 32000, context: 256}
model: {name: llama, size: 130m}
optimizer: adamw
transforms: [none, clip_norm, gradient_stabilizer]
lr: [1e-3]
weight_decay: [1e-2]
seeds: 3
budget: {steps: 20000, batch_size: 512, schedule: cosine, floor: 0.1, warmup: 2000, precision: float16}
"""
(TABLE_1, *_) = TABLES
PRINTED = {
    row.transform: row.value
    for row in TABLE_1.rows
    if (row.size, row.arithmetic, row.optimizer) == ("130m", FP16, "adamw")
}


def rows(
    text: str, nats: dict[str, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    """Table 1 as `study table --json` gives it, of a study in which each method has this loss."""
    path, home = tmp_path / "study.yaml", Home(tmp_path / "home")
    path.write_text(text)
    home.prepare()
    spec = parse_spec(text)
    prints = {setting.name: "made up" for setting in settings(spec)}

    def record(cell: Cell) -> Any:
        value = nats[cell.transform] + 0.001 * (cell.seed - 1)
        made = record_of(cell, 0.5)
        curve = tuple((step, value, value) for step, _, _ in made.curve)
        return replace(
            made,
            metric_name="nats_per_token",
            metric_direction="min",
            metric_initial=5.5,
            metric_final=value,
            metric_best=value,
            loss_initial=5.5,
            loss_final=value,
            curve=curve,
        )

    ledger = home.open_ledger()
    try:
        ledger.note_fingerprints(spec.name, prints)
        ledger.add(record(cell) for cell in make_plan(spec, prints).cells)
    finally:
        ledger.close()
    code, found = answer(capsys, "table", str(path), "--home", str(home.root))
    assert code == 0
    assert isinstance(found, dict)
    json.dumps(found, allow_nan=False)
    assert [one["id"] for one in found["tables"]] == [one.id for one in TABLES]
    return list(found["tables"][0]["rows"])


def test_bytes_are_never_set_equal_to_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A perplexity per byte stands beside the paper's with its unit, and is not comparable.

    Even where the two numbers are the same. What was not run says so.
    """
    nats = {name: math.log(PRINTED[name]) for name in ("none", "clip_norm", "gradient_stabilizer")}
    found = rows(SMALL, nats, tmp_path, capsys)
    here = [row for row in found if row["n_seeds"]]
    assert [(row["size"], row["optimizer"], row["transform"]) for row in here] == [
        ("130m", "adamw", name) for name in nats
    ]
    for row in here:
        assert row["agreement"] == NOT_COMPARABLE
        assert row["perplexity"] == pytest.approx(row["published"], rel=1e-6)
        assert (row["size_here"], row["tokens_here"]) == ("0.1m", "bytes (256)")
        assert "bytes (256) instead of 32,000 tokens" in row["reason"]
        assert "llama of size 0.1m instead of 130m" in row["reason"]
    others = [row for row in found if not row["n_seeds"]]
    assert len(others) == len(TABLE_1.rows) - 3
    assert {row["agreement"] for row in others} == {NOT_RUN}
    assert {"agc is not in the spec", "adam in FP16 is not in the spec"} <= {row["reason"] for row in others}
    assert study("table", str(tmp_path / "study.yaml"), "--home", str(tmp_path / "home")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "paper, per token" in said
    assert "Do not read the two columns beside each other" in said


def test_a_shape_of_one_s_own_is_called_by_no_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that is narrower or wider than the size of its name is not shown under it."""
    nats = dict.fromkeys(("none", "clip_norm", "gradient_stabilizer"), 3.0)
    text = SMALL.replace("model: llama", "model: {name: llama, width: 32, depth: 1}")
    here = [row for row in rows(text, nats, tmp_path, capsys) if row["n_seeds"]]
    assert [row["size_here"] for row in here] == ["own"] * 3
    assert all("llama with depth=1, width=32 instead of 130m" in row["reason"] for row in here)


def test_the_paper_s_own_recipe_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its model, tokens, batches, steps and schedule, a loss near ln of the perplexity agrees."""
    nats = {name: math.log(PRINTED[name]) for name in ("none", "clip_norm", "gradient_stabilizer")}
    nats["clip_norm"] += 0.3
    found = {row["transform"]: row for row in rows(PAPER, nats, tmp_path, capsys) if row["n_seeds"]}
    assert found["none"]["agreement"] == found["gradient_stabilizer"]["agreement"] == AGREES
    assert found["clip_norm"]["agreement"] == DISAGREES


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("size: 130m", "size: 350m", "llama of size 350m instead of 130m"),
        ("size: 130m", "size: 130m, qk_norm: true", "the model's qk_norm changed"),
        ("context: 256", "context: 128", "windows of 128 instead of 256 tokens"),
        ("steps: 20000", "steps: 30000", "30,000 steps instead of 20,000"),
        ("batch_size: 512", "batch_size: 128", "batches of 128 instead of 512"),
        ("warmup: 2000", "warmup: 0", "warm-up of 0 instead of 2000"),
        ("floor: 0.1, ", "floor: 0, ", "the schedule ends at 0 of lr instead of 0.1"),
        ("floor: 0.1, ", "floor: 0.1, loss_scale: 8, ", "loss_scale 8.0 instead of 1.0"),
        ("context: 256", "context: 256, z_loss: 1e-4", "z_loss 0.0001 instead of none"),
        ("optimizer: adamw", "optimizer: {name: adamw, beta2: 0.95}", "adamw(beta2=0.95) instead of adamw"),
    ],
)
def test_what_differs_from_the_recipe_is_named(old: str, new: str, words: str) -> None:
    """Each difference in words, and none for the recipe itself."""
    one = next(row for row in TABLE_1.rows if row.arithmetic == FP16)
    (own,) = settings(parse_spec(PAPER))
    assert differences(TABLE_1.recipe, one, own) == ()
    (other,) = settings(parse_spec(PAPER.replace(old, new)))
    assert words in differences(TABLE_1.recipe, one, other)


def test_four_bit_models_of_stable_spam_saw_equally_many_tokens() -> None:
    """2.2 billion at every size. At 350M the stabilizer's paper has three times as many steps."""
    steps = {table.id: table.recipe.steps for table in TABLES}
    assert set(steps["stable-spam-4-bit"].values()) == {steps["stabilizer-table-1"]["130m"]}
    assert steps["stabilizer-table-1"]["350m"] == 60_000


def test_a_paper_s_own_constants_are_asked_for() -> None:
    """Stable-SPAM has other constants in BF16 than in four bits, where they are the defaults here."""
    text = PAPER.replace("float16", "bfloat16").replace("adamw", "adam").replace("1e-2", "0")
    spec = parse_spec(text.replace("clip_norm", "{name: stable_spam, gamma1: 0.85, gamma2: 0.99999}"))
    (table,) = [one for one in TABLES if one.id == "stable-spam-bf16"]
    (own,) = [one for one in spec.transforms if one.name == "stable_spam"]
    assert own.constants == table.constants["stable_spam"]


def test_printed_numbers_are_those_of_the_papers() -> None:
    """The tables have a number for each method and column, and name what exists.

    From the papers' text: the stabilizer gains 0.053 nats on Adam at 130M in FP16, and 0.079 in FP4; it is
    the best method of Table 1 in every column.
    """
    for table in TABLES:
        keys = [(row.size, row.arithmetic, row.optimizer, row.method) for row in table.rows]
        assert len(set(keys)) == len(keys)
        assert {row.transform for row in table.rows} <= {*TRANSFORMS, ""}
        assert {row.size for row in table.rows} <= {*SIZES, "1b"}
    assert [len(table.rows) for table in TABLES] == [48, 24, 33, 24, 14, 16]
    gains = {
        arithmetic: math.log(values["none"] / values["gradient_stabilizer"])
        for arithmetic in (FP16, FP4)
        for values in [
            {
                row.transform: row.value
                for row in TABLE_1.rows
                if (row.size, row.arithmetic, row.optimizer) == ("130m", arithmetic, "adam")
            }
        ]
    }
    assert gains[FP16] == pytest.approx(0.0535, abs=5e-4)
    assert gains[FP4] == pytest.approx(0.0788, abs=5e-4)
    for column in {(row.size, row.arithmetic, row.optimizer) for row in TABLE_1.rows}:
        best = min(
            (row for row in TABLE_1.rows if (row.size, row.arithmetic, row.optimizer) == column),
            key=lambda row: row.value,
        )
        assert best.transform == "gradient_stabilizer"
    assert {"adam", "adamw", "lion"} <= set(OPTIMIZERS)
