"""The workload `series`: official splits, scaling and windows; what cannot be used is refused by line."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers import Budget, Workload, make_optimizer, make_transform, make_workload, train_fused
from trainers.feed import Feed
from trainers.workloads.windows import beneath

ETT = Path(__file__).parents[3] / "shared" / "data" / "series"


def write(path: Path, rows: int, *, step: timedelta = timedelta(hours=1)) -> np.ndarray:
    """A file of two variables, and its numbers [rows, 2]."""
    start = datetime(2016, 7, 1)
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=(rows, 2)).cumsum(0).round(3)
    lines = ["date,load,temperature"]
    lines += [f"{start + k * step},{a},{b}" for k, (a, b) in enumerate(numbers)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return numbers


def made(file: Path | None = None, model: str = "nlinear", **constants: Any) -> Workload:
    given = {} if file is None else {"file": str(file)}
    return make_workload("series", model, **given, **({"context": 8, "horizon": 3} | constants))


def test_shares_scaling_and_windows(tmp_path: Path) -> None:
    """70, 10 and 20 % of the rows, scaled by the training rows, cut into every window; by numpy."""
    numbers = write(tmp_path / "load.csv", 103)
    scaled = (numbers - numbers[:72].mean(0)) / numbers[:72].std(0)
    # The official loader: 72 training rows, 20 test rows, the rest between them.
    found = made(tmp_path / "load.csv")
    assert len(found.train_x) == 72 - 8 - 3 + 1
    assert len(found.eval_x) == 20 - 3 + 1
    for k in (0, 5, len(found.train_x) - 1):
        np.testing.assert_allclose(found.train_x[k], scaled[k : k + 8], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.train_y[k], scaled[k + 8 : k + 11], rtol=1e-5, atol=1e-6)
    for k in (0, len(found.eval_x) - 1):
        first = 103 - 20 - 8 + k
        np.testing.assert_allclose(found.eval_x[k], scaled[first : first + 8], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.eval_y[k], scaled[first + 8 : first + 11], rtol=1e-5, atol=1e-6)
    held = made(tmp_path / "load.csv", evaluate="validation")
    assert len(held.eval_x) == 11 - 3 + 1
    np.testing.assert_allclose(held.eval_y[0], scaled[72:75], rtol=1e-5, atol=1e-6)


def test_months_of_ett(tmp_path: Path) -> None:
    """A file named ETTh… has 12, 4 and 4 months of 720 rows, and what follows them is left out."""
    write(tmp_path / "ETTh9.csv", 14_500)
    found = made(tmp_path / "ETTh9.csv", context=336, horizon=96)
    assert len(found.train_x) == 8640 - 336 - 96 + 1
    assert len(found.eval_x) == 2880 - 96 + 1
    shares = made(tmp_path / "ETTh9.csv", context=336, horizon=96, split="shares")
    assert len(shares.train_x) == int(14_500 * 0.7) - 336 - 96 + 1


@pytest.mark.skipif(
    not ETT.is_dir(), reason="needs ETTh1 and ETTm1 in shared/data/series beside the checkout"
)
@pytest.mark.parametrize(
    ("name", "train", "test", "repeat"),
    # "Repeat" at horizon 96 in table 2 of "Are Transformers Effective for Time Series Forecasting?".
    [("ETTh1", 8209, 2785, 1.295), ("ETTm1", 34129, 11425, 1.214)],
)
def test_known_data(name: str, train: int, test: int, repeat: float) -> None:
    """The real files have the papers' windows, and repeating the last value has its published error."""
    found = make_workload("series", "nlinear", file=str(ETT / f"{name}.csv"))
    assert (len(found.train_x), len(found.eval_x)) == (train, test)
    last = found.eval_x[:, -1:]
    assert float((found.eval_y - last).square().mean()) == pytest.approx(repeat, abs=0.002)


def test_chance_is_the_training_mean(tmp_path: Path) -> None:
    """Guessing predicts 0, the training mean, in every evaluated window."""
    write(tmp_path / "load.csv", 103)
    found = made(tmp_path / "load.csv")
    assert found.chance == pytest.approx(np.mean(found.eval_y.numpy().astype("float64") ** 2), rel=1e-12)
    assert not found.higher_is_better


def test_dropped_last_batch(tmp_path: Path) -> None:
    """As the official loaders do it, whole batches alone are scored, and the metric's name says so."""
    write(tmp_path / "load.csv", 103)
    every, whole = made(tmp_path / "load.csv"), made(tmp_path / "load.csv", drop_last=7)
    assert (len(every.eval_x), len(whole.eval_x)) == (18, 14)
    assert (every.metric_name, whole.metric_name) == ("mse", "mse_of_whole_batches")
    assert torch.equal(every.eval_x[:14], whole.eval_x)
    assert every.fingerprint() != whole.fingerprint()


def test_fewer_windows(tmp_path: Path) -> None:
    """So many of the test windows, drawn once for everybody."""
    write(tmp_path / "load.csv", 103)
    every, few = made(tmp_path / "load.csv"), made(tmp_path / "load.csv", test_examples=5)
    assert len(few.eval_x) == 5
    assert all(any(torch.equal(x, y) for y in every.eval_x) for x in few.eval_x)
    with pytest.raises(ValueError, match=r"test_examples is 19; wanted a number in \[1, 18\]"):
        made(tmp_path / "load.csv", test_examples=19)


def test_metric_is_the_mean_over_all_entries() -> None:
    """What trainers report is the mean squared error of all windows, steps and variables together."""
    found = made(rows=200, variables=3)
    parts = (found, make_transform("none"), make_optimizer("adamw"), Budget(2, 8, points=1))
    curves = train_fused(*parts, lr_C=torch.tensor([0.0]), weight_decay_C=torch.zeros(1), seed=0)
    with torch.no_grad():
        out = found.initial_model(0).eval()(found.eval_x)
    assert float(curves.metric_final_C[0]) == pytest.approx(
        float((out - found.eval_y).square().mean()), rel=1e-6
    )


def test_windows_share_memory() -> None:
    """Neither the workload, nor its copy on a device in another precision, holds a row twice."""
    found = made(rows=1000, context=300, horizon=100)
    for x in (found.train_x, found.train_y, found.eval_x, found.eval_y):
        assert x.untyped_storage().nbytes() <= 1000 * 7 * 4
    feed = Feed(found, Budget(2, 8, precision="float64"), 0, "cpu")
    for x, original in ((feed._train_x, found.train_x), (feed._eval_x, found.eval_x)):
        assert x.dtype == torch.float64
        assert x.untyped_storage().nbytes() <= 1000 * 7 * 8
        assert torch.equal(x, original.double())
    feed = Feed(found, Budget(2, 8), 0, "cpu")
    for y, original in ((feed._train_y, found.train_y), (feed._eval_y, found.eval_y)):
        assert y.data_ptr() == original.data_ptr()
        assert torch.equal(y, original)
    assert beneath(torch.zeros(4, 3)) is None
    # One number that is repeated is no window.
    assert beneath(torch.zeros(1).expand(5)) is None


def test_evaluations_fit_into_memory() -> None:
    """An evaluation goes by the widest layer: of PatchTST 42 patches of 7 variables with 128 numbers each."""
    found = made(model="patchtst", rows=3000, context=336, horizon=96)
    assert found.output_numbers == 42 * 7 * 128
    (x, _), *rest = Feed(found, Budget(2, 8), 0, "cpu").evaluation()
    assert rest
    assert len(x) * found.output_numbers <= 2**23


def test_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    """Another number, another context and another order of columns are other data; the place is not."""
    write(tmp_path / "load.csv", 103)
    first = made(tmp_path / "load.csv").fingerprint()
    text = (tmp_path / "load.csv").read_text(encoding="utf-8")
    (tmp_path / "copy.csv").write_text(text, encoding="utf-8")
    assert made(tmp_path / "copy.csv").fingerprint() == first
    assert made(tmp_path / "copy.csv", context=9).fingerprint() != first
    line = text.splitlines()[50]
    (tmp_path / "copy.csv").write_text(text.replace(line, line[:-1] + "9"), encoding="utf-8")
    assert made(tmp_path / "copy.csv").fingerprint() != first


def test_generated_series_are_the_same_everywhere() -> None:
    """Without a file the series are generated: equal twice, other ones with another seed, never constant."""
    first = made(rows=300)
    assert torch.equal(first.train_x, made(rows=300).train_x)
    assert not torch.equal(first.train_x, made(rows=300, seed=1).train_x)
    flat = first.train_x[:, 0]
    torch.testing.assert_close(flat.std(0), torch.ones(7), rtol=0.2, atol=0)
    # Pinned, because the numbers of cells rest on them.
    assert first.train_x[0, 0].tolist() == pytest.approx(PINNED, abs=1e-5)


PINNED = [0.50167, -1.01399, -0.64235, -0.06394, 1.43412, 1.85027, -2.12907]
"""The first generated row, standardised."""


def test_place_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path begins in STABILITY_STUDY_DATA."""
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner" / "load.csv", 103)
    monkeypatch.setenv("STABILITY_STUDY_DATA", str(tmp_path))
    assert len(made(Path("inner") / "load.csv").train_x) == 62


HEAD = "date,load,temperature"
GOOD = ["2016-07-01 00:00:00,1.5,2", "2016-07-01 01:00:00,2.5,3"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["load,temperature", "1,2"], ["line 1, column 1: found 'load'; wanted 'date'"]),
        (["date", "2016-07-01"], ["line 1: has the column date alone"]),
        ([HEAD], ["has no rows below its heading"]),
        ([], ["line 1, column 1: found nothing"]),
        ([HEAD, *GOOD, "2016-07-01 02:00:00,,4"], ["line 4, column load: the value is missing"]),
        ([HEAD, *GOOD, "2016-07-01 02:00:00,3,NaN"], ["line 4, column temperature: the value is missing"]),
        ([HEAD, *GOOD, "2016-07-01 02:00:00,3,warm"], ["line 4, column temperature: found 'warm'"]),
        ([HEAD, *GOOD, "2016-07-01 02:00:00,inf,4"], ["line 4, column load: found 'inf'"]),
        ([HEAD, *GOOD, "2016-07-01 02:00:00,1_000,4"], ["line 4, column load: found '1_000'"]),
        ([HEAD, *GOOD, GOOD[1]], ["line 4, column date:", "repeats the date of the line before"]),
        ([HEAD, *GOOD, GOOD[0]], ["line 4, column date:", "is earlier than the line before"]),
        ([HEAD, "tomorrow,1,2"], ["line 2, column date: found 'tomorrow'; wanted a date"]),
        ([HEAD, *GOOD, "2016-07-01 02:00:00,3"], ["line 4: has 2 fields; wanted one for each of its 3"]),
        ([HEAD, *GOOD], ["has 1 training rows, too few for one window; wanted at least 11"]),
    ],
)
def test_bad_files(lines: list[str], words: list[str], tmp_path: Path) -> None:
    """One sentence names the file, the line and the column, and says what is wanted."""
    file = tmp_path / "bad.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.csv") as error:
        made(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_constant_column(tmp_path: Path) -> None:
    """A variable without a deviation in the training rows is named, even if it moves later."""
    lines = [HEAD, *(f"{datetime(2016, 7, 1) + timedelta(hours=k)},{k},{max(0, k - 90)}" for k in range(100))]
    (tmp_path / "flat.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match="column temperature: is 0 in all 70 training rows"):
        made(tmp_path / "flat.csv")


def test_a_number_that_cannot_be_scaled(tmp_path: Path) -> None:
    """A number of the test rows that no float holds in deviations of the training rows is named."""
    numbers = [*range(90), *[1e300] * 10]
    lines = [HEAD, *(f"{datetime(2016, 7, 1) + timedelta(hours=k)},{k},{x}" for k, x in enumerate(numbers))]
    (tmp_path / "far.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="column temperature: holds a number too far"):
        made(tmp_path / "far.csv")


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"file": "nowhere.csv"}, "nowhere.csv is missing; wanted a CSV file"),
        ({"context": 0}, "context is 0"),
        ({"drop_last": 1000, "rows": 200}, "drop_last is 1000"),
        ({"evaluate": "tests"}, "wanted test or validation"),
        ({"split": "months"}, "unknown split of series 'months'"),
        ({"split": "ett_hourly", "rows": 200}, "has 200 rows; the split ett_hourly needs 14,400"),
        ({"rows": 40, "horizon": 9}, "has 8 test rows, too few for one window"),
        ({"model": "mlp"}, r"the model mlp makes \[2, 3\] of 2 windows; wanted \[2, 3, 7\]"),
        ({"model": "convnet"}, "the model convnet makes"),
    ],
)
def test_bad_constants(constants: dict[str, Any], words: str) -> None:
    """Constants that do not fit are refused in one sentence."""
    file = constants.pop("file", None)
    with pytest.raises(ValueError, match=words):
        made(file, **constants)


@pytest.mark.skipif(os.name == "nt", reason="bytes that are no text")
def test_not_a_text_file(tmp_path: Path) -> None:
    """A folder, and bytes that are no text, are refused and not read."""
    (tmp_path / "bytes.csv").write_bytes(b"date,a\n\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read"):
        made(tmp_path / "bytes.csv")
    with pytest.raises(ValueError, match="is missing"):
        made(tmp_path)
