"""The benchmark runs from the command line, says where it measured, and shows no speed for wrong numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trainers.bench import comparison, rates
from trainers.bench.__main__ import main
from trainers.bench.table import as_markdown, as_text, token_rates

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.long
def test_json_has_what_a_reader_needs() -> None:
    """One JSON object: machine, versions, n, and per width rates, ratio and share, or why it was skipped."""
    widths, short = ["--widths", "1", "4", "100000"], ["--seconds", "0.2", "--rounds", "1"]
    command = [sys.executable, "-m", "trainers.bench", "--json", "--models", "mlp", *widths, *short]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {"device", "cores", "processes", "torch", "python"} <= result["machine"].keys()
    assert result["n"] == 1
    assert result["cell"]["steps"] == 200
    assert set(result["matrix_product_flop_per_s"]) == {"float32", "bfloat16"}
    (found,) = result["models"]
    assert found["difference"] <= result["tolerance"]
    products = 3 * (64 * 64 + 64 * 64 + 64 * 10) - 64 * 64  # the first layer needs no gradient by its input
    assert found["flop_per_step"] == 2 * 64 * products
    assert [row["width"] for row in found["rows"]] == [1, 4]
    assert [each["width"] for each in found["skipped"]] == [100_000]
    for row in found["rows"]:
        plain, fused = row["plain"], row["fused"]
        assert row["ratio"]["rounds"] == pytest.approx(
            [fused["cells_per_s"]["rounds"][0] / plain["cells_per_s"]["rounds"][0]]
        )
        for kind in (plain, fused):
            assert kind["images_per_s"]["median"] == pytest.approx(kind["cells_per_s"]["median"] * 200 * 64)
            assert 0 < kind["share"]["median"] < 1.5
    for text in (as_text(result), as_markdown(result)):
        assert result["machine"]["torch"] in text
        assert "n = 1 " in text
        assert "skipped: mlp, 100000 cells" in text


@pytest.mark.parametrize("model", ["dlinear", "nlinear", "patchtst", "llama"])
def test_forecasters_are_compared_first(model: str) -> None:
    """Fused and serial losses of a forecaster agree, or no speed of it would be shown."""
    assert rates.checked(model, "cpu") <= rates.RELATIVE
    assert len(rates.PROBLEMS[model].made(model).train_x) > rates.BATCH_SIZE


def test_tokens_are_counted() -> None:
    """Of a language model tokens per second are shown: windows per second, times their length."""
    rows = [rates.Row(4, 5, plain=[10.0], fused=[30.0])]
    part = rates.Rates((32,), 0.0, 1, 10, rows, [])
    found = comparison.summary(rates.BenchTask("llama", (4,), 1, 1.0, "cpu"), [part], 1e3)
    assert found["rows"][0]["fused"]["tokens_per_s"]["median"] == 30 * 4 * 32
    assert token_rates({"models": [found]}) == ["llama, 4 cells: 1,280 tokens/s plain, 3,840 fused"]


def test_no_speed_for_wrong_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fused and serial losses differ by more than rounding, measuring is refused."""
    monkeypatch.setattr(rates, "RELATIVE", -1.0)
    with pytest.raises(RuntimeError, match="mlp: fused and serial losses differ"):
        rates.checked("mlp", "cpu")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--models", "mlpp"], "invalid choice"),
        (["--widths", "0"], "at least 1"),
        (["--seconds", "0"], "more than 0"),
    ],
)
def test_wrong_input(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong argument ends with exit code 2 and says what is wanted."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert word in capsys.readouterr().err
