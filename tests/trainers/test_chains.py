"""Chains: one compiled pass gives the bits of the operations that it is made of, or is not used."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trainers.replay import Replay, Tape, chains, compiler, formulas
from trainers.replay.chains import chained
from trainers.replay.kernel import Chained, loops

aten = torch.ops.aten
needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
OFTEN = 10**9

ONE = {
    "add": lambda a, b, p: a + p,
    "sub": lambda a, b, p: p - b,
    "mul": lambda a, b, p: a * p,
    "div": lambda a, b, p: aten.div.Tensor(a, p),
    "div by a number": lambda a, b, p: aten.div.Scalar(a, 3.7),
    "rsub": lambda a, b, p: 1 - a,
    "neg": lambda a, b, p: -a,
    "abs": lambda a, b, p: a.abs(),
    "reciprocal": lambda a, b, p: a.reciprocal(),
    "relu": lambda a, b, p: a.relu(),
    "threshold": lambda a, b, p: aten.threshold_backward(a, b, 0.25),
    "sign": lambda a, b, p: a.sign(),
    "clamp": lambda a, b, p: a.clamp(-0.5, 0.5),
    "clamp from below": lambda a, b, p: a.clamp(min=0.1),
    "clamp from above": lambda a, b, p: a.clamp(max=0.1),
    "clamp by tensors": lambda a, b, p: a.clamp(-p, p),
    "clamp from below by a tensor": lambda a, b, p: a.clamp(min=p),
    "clamp from above by a tensor": lambda a, b, p: a.clamp(max=p),
    "div of what is true": lambda a, b, p: (a > 0) / (b > 0),
    "reciprocal of what is true": lambda a, b, p: 1 / (a > b),
    "square": lambda a, b, p: a**2,
    "lerp": lambda a, b, p: torch.lerp(a, b, 0.1),
    "lerp from the far end": lambda a, b, p: torch.lerp(a, b, 0.8),
    "lerp by a tensor": lambda a, b, p: torch.lerp(a, b, p),
    "addcmul": lambda a, b, p: torch.addcmul(a, b, b, value=0.001),
    "addcdiv": lambda a, b, p: torch.addcdiv(a, b, p, value=-0.1),
    "maximum": lambda a, b, p: torch.maximum(a, b),
    "minimum": lambda a, b, p: torch.minimum(a, p),
    "where": lambda a, b, p: torch.where(a > p, a, b),
    "eq": lambda a, b, p: torch.where(aten.eq.Tensor(a, b), a, 2.0),
    "eq a number": lambda a, b, p: torch.where(a == 0, b, a),
    "ne a number": lambda a, b, p: torch.where(a != 1, b, a),
    "lt": lambda a, b, p: torch.where(a < b, b, a),
    "lt a number": lambda a, b, p: torch.where(a < 0.5, b, a),
    "le a number": lambda a, b, p: torch.where(a <= 0.0, b, a),
    "gt a number": lambda a, b, p: torch.where(a > torch.inf, b, a),
    "ge a number": lambda a, b, p: torch.where(a >= 0.0, b, a),
    "isinf": lambda a, b, p: torch.where(a.isinf(), b, a),
    "isnan": lambda a, b, p: torch.where(a.isnan(), b, a),
}
"""Each operation of a chain: a and b numbers of all cells, p one number for each."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test loads or finds, another does not know."""
    monkeypatch.setattr(compiler, "_loaded", {})
    monkeypatch.setattr(chains, "_agreed", {})
    for one in (compiler.compiler, compiler.machine, compiler.trusted):
        one.cache_clear()


def recorded(function: Any, *given: Tensor) -> tuple[Tape, list[Tensor]]:
    with Tape() as tape:
        results = function(*given)
    return tape, results


def kernels(tape: Tape, results: list[Tensor], repeats: int = OFTEN) -> list[Chained]:
    calls = chained(tape, [tape.place(one).number for one in results], repeats)
    return [call.op for call in calls if isinstance(call.op, Chained)]


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(4, 64, 32), (4, 7, 3), (5, 11)])
def test_each_operation_has_the_bits_of_torch(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Vectorised or not, at any length, with nan, inf and both zeros: none is left out of a chain."""
    a, b = (torch.randn(shape, dtype=dtype) for _ in range(2))
    p = torch.rand(shape[0], *[1] * (len(shape) - 1), dtype=dtype)
    # What is true divided by what is true is in float32.
    names = [name for name in ONE if dtype == torch.float32 or "what is true" not in name]
    tape, results = recorded(lambda a, b, p: [(ONE[name](a, b, p) - a) * b for name in names], a, b, p)
    assert {call.op for call in tape.calls} >= set(formulas.FORMULAS)
    calls = chained(tape, [tape.place(one).number for one in results], OFTEN)
    left = {call.op for call in calls if not isinstance(call.op, Chained)}
    # Bounds are made of p alone, in other loops.
    assert left & formulas.FORMULAS.keys() <= {aten.neg.default}


@needs_compiler
@pytest.mark.parametrize("seed", range(8))
def test_random_functions_repeat_bit_by_bit(seed: int) -> None:
    """Operations in any order, read by reductions and changes in place between them, some results kept."""
    draw = torch.Generator().manual_seed(seed)

    def one_of(things: list[Any]) -> Any:
        return things[int(torch.randint(len(things), (), generator=draw))]

    program = [(one_of(list(ONE)), *(one_of(range(40)) for _ in range(4))) for _ in range(14)]

    def function(state: list[Tensor], p: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        known = list(state)
        for name, first, second, turn, _ in program:
            known.append(ONE[name](known[first % len(known)], known[second % len(known)], p))
            if turn % 5 == 0:
                known.append(known[-1] + known[turn % len(known)].mean((1, 2), keepdim=True))
            if turn % 7 == 0:
                own = known[second % len(known)].clone()
                known.append(own * 0.5)
                own.clamp_(-1, 1)
                known.append(own.mT.contiguous().mT)
        # Sums over numbers that stand otherwise are rounded otherwise.
        bounded = [torch.nan_to_num(one, 0.1, 2.0, -2.0).clamp(-3, 3).contiguous() for one in known[-3:]]
        return bounded, [known[program[0][4] % len(known)] * 1, known[-1].sum()]

    state, p = [torch.randn(4, 6, 8, generator=draw) for _ in range(3)], torch.rand(4, 1, 1, generator=draw)
    with Tape() as tape:
        after, kept = function(state, p)
    again = Replay(tape, list(zip(state, after, strict=True)), [p], kept, OFTEN)
    for own, value in zip(again.state, state, strict=True):
        own.copy_(value)
    assert any(isinstance(call.op, Chained) for call in tape.calls)
    for _ in range(3):
        state, kept = function(state, p)
        again.given[0].copy_(p)
        again.run()
        for found, wanted in zip([*again.state, *again.kept], [*state, *kept], strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)
        p = torch.rand(4, 1, 1, generator=draw)


def adam(a: Tensor, b: Tensor, p: Tensor) -> list[Tensor]:
    mean = torch.lerp(a, b, 0.1)
    return [mean, (a * p - mean) / (b.abs() + 1e-8)]


STATE = (torch.randn(4, 6, 8), torch.randn(4, 6, 8), torch.rand(4, 1, 1))


@needs_compiler
def test_a_chain_that_gives_other_bits_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a library rounds otherwise than this machine does."""
    assert len(kernels(*recorded(adam, *STATE))) == 1
    wrong = {**formulas.FORMULAS, aten.div.Tensor: lambda a, b, *, kind: f"({a} * (1 / {b}))"}
    monkeypatch.setattr(formulas, "FORMULAS", wrong)
    assert not kernels(*recorded(adam, *STATE))


@needs_compiler
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, p: [torch.add(a, b, alpha=0.3) * p],
        lambda a, b, p: [torch.rsub(a, 2, alpha=3) * p],
        lambda a, b, p: [a**3 * p],
        lambda a, b, p: [(a.half() + 1).float() * 2],
        lambda a, b, p: [(a.long() * 3) / 2],
    ],
)
def test_what_has_no_formula_is_left_to_torch(function: Any) -> None:
    """And a chain goes on behind it."""
    tape, results = recorded(lambda *given: [one * 0.5 + 1 for one in function(*given)], *STATE)
    assert len(kernels(tape, results)) == 1


@needs_compiler
def test_what_is_given_may_have_gaps() -> None:
    """A crop or an expanded tensor gets a place without them, for which no chain was written."""
    for part in (torch.randn(4, 6, 12)[..., 2:10], torch.randn(4, 1, 8).expand(4, 6, 8)):
        with Tape() as tape:
            after = [STATE[0] + (part - 0.5) / 0.25]
        again = Replay(tape, [(STATE[0], after[0])], [part], [], OFTEN)
        again.state[0].copy_(STATE[0])
        again.given[0].copy_(part)
        again.run()
        assert torch.equal(again.state[0], after[0])


@needs_compiler
def test_it_is_compiled_where_that_pays_and_then_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program in the cache is used however little it saves."""
    monkeypatch.setenv("STABILITY_STUDY_CACHE", str(tmp_path / "new" / "programs"))
    assert not kernels(*recorded(adam, *STATE), repeats=3)
    assert kernels(*recorded(adam, *STATE))
    compiler._loaded.clear()
    monkeypatch.setattr(compiler, "fresh", lambda source: pytest.fail("compiled again"))
    assert kernels(*recorded(adam, *STATE), repeats=3)
    (kept,) = (tmp_path / "new" / "programs").iterdir()
    assert kept.suffix == ".so"


@needs_compiler
@pytest.mark.parametrize(
    "fault", ["damaged", "another machine's", "a file is in its place", "open to others"]
)
def test_a_cache_that_is_of_no_use(fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program is compiled, and what others could have written is not run."""
    monkeypatch.setenv("STABILITY_STUDY_CACHE", str(tmp_path / "programs"))
    if fault == "a file is in its place":
        (tmp_path / "programs").write_text("")
    else:
        assert kernels(*recorded(adam, *STATE))
        (kept,) = (tmp_path / "programs").iterdir()
        compiler._loaded.clear()
        if fault == "another machine's":
            monkeypatch.setattr(compiler, "machine", lambda: "another one")
        else:
            kept.write_bytes(kept.read_bytes()[:100])
        if fault == "open to others":
            (tmp_path / "programs").chmod(0o777)
            compiler.trusted.cache_clear()
    assert len(kernels(*recorded(adam, *STATE))) == 1
    if fault == "open to others":
        assert kept.stat().st_size == 100


@pytest.mark.parametrize("fault", ["none", "broken"])
def test_without_a_compiler_it_is_said_once(
    fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Steps are taken as torch's own operations then."""
    monkeypatch.setenv("STABILITY_STUDY_CACHE", str(tmp_path / "programs"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    if fault == "broken":
        (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "cc").chmod(0o755)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not kernels(*recorded(adam, *STATE))
    (said,) = caplog.messages
    assert "with the same numbers" in said


def test_loops_are_as_few_as_can_be() -> None:
    """Numbers that stand in one row are one loop; those that jump in the last one have none."""
    whole, column, row = torch.zeros(4, 6, 8), torch.zeros(4, 1, 1), torch.zeros(8)
    assert loops((4, 6, 8), [whole, whole]).size == (192,)
    assert loops((4, 6, 8), [column, whole]).size == (4, 48)
    assert loops((4, 6, 8), [row, whole]).size == (24, 8)
    found = loops((4, 6, 8), [row, column, whole])
    assert found.size == (4, 6, 8)
    assert found.step_X == ((0, 0, 1), (1, 0, 0), (48, 8, 1))
    assert loops((4, 8, 6), [whole.mT, whole.mT]).size == (192,)
    assert loops((4, 6, 8), [torch.zeros(4, 8, 6).mT, whole]) is None
    assert loops((1, 1), [torch.zeros(1, 1)]).size == (1,)
