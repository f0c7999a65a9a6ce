"""How often intervals of every measure cover planted truths.

`make calibration` runs it in full. Verdicts have a tool of their own, `tests.tools.verdicts`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from study.measures.divergence import divergence_share, lost_share
from study.measures.estimate import Estimate, Missing, difference, ratio
from study.measures.evidence import Evidence, gather
from study.measures.lr_limits import decades_above, largest_lr, only_row
from study.measures.regions import WEIGHT_DECAY, width_difference
from study.measures.sensitivity import lr_sensitivity, shift, wd_difference, wd_sensitivity
from study.measures.tuning import tuned_score
from study.measures.windows import windows
from study.spec.tolerances import Tolerances
from tests.tools import importance_plants, tuning_plants
from tests.tools.regimes import NEEDED, POPULATION, REGIMES, Planted, Regime, draw, paired_truths

CONFIDENCE, SEEDS = 0.95, (3, 5, 10)
FEWER = 10
"""Importances are drawn so many times less often: Optuna's evaluator is slow."""
TOLERANCES = Tolerances()
Found = dict[str, tuple[int, int]]
"""By interval, in how many draws it covered the truth, and in how many there was one."""


def measures(evidence: Evidence, name: str) -> dict[str, Estimate | None]:
    """Every measure whose truth a planted landscape knows."""
    landscape = evidence.landscapes[name]
    regions = {kind: evidence.regions[name, kind, "own"] for kind in NEEDED}
    found: dict[str, Estimate | None] = {}
    for kind, one in regions.items():
        found |= {
            f"{kind} area": one.area,
            f"{kind} area that feels decay": one.decay_area,
            f"{kind} lr width": one.lr_width,
            # A region that runs out of the grid along weight decay has no width that could be known.
            f"{kind} wd width": None if one.cut(WEIGHT_DECAY) else one.wd_width,
        }
    trained = regions["trained"]
    middle = only_row(trained, len(landscape.weight_decay) // 2)
    return found | {
        "max stable lr": largest_lr(trained, middle),
        "decades above optimum": decades_above(trained, middle),
        "max stable weight decay": None if trained.cut(WEIGHT_DECAY) else trained.largest_wd,
        "divergence share": divergence_share(landscape),
        "lost share": lost_share(landscape),
        "lr sensitivity": lr_sensitivity(landscape),
        "wd sensitivity": wd_sensitivity(landscape, evidence.near_lr(name)),
        "tuned score": tuned_score(landscape),
    }


def comparisons(evidence: Evidence, name: str, base: str) -> dict[str, Estimate | None]:
    """The differences that claims are decided by."""
    own, other = evidence.landscapes[name], evidence.landscapes[base]
    trained, competitive = (
        [evidence.regions[one, kind, "own"] for one in (name, base)] for kind in ("trained", "competitive")
    )
    around = windows(competitive[0], competitive[1], TOLERANCES.window)
    in_windows = None
    if not isinstance(around, Missing):
        in_windows = difference(lost_share(own, around[0]), lost_share(other, around[1]))
    return {
        "width difference": width_difference(trained[0], trained[1]),
        "wd sensitivity difference": wd_difference(
            own, other, evidence.near_lr(name), evidence.near_lr(base)
        ),
        "lost share in windows": in_windows,
    }


BEYOND = ("max stable lr", "decades above optimum")
"""Measures whose truth is known outside of the grid too; the sizes' truths are those within its window."""
RATIOS = ("trained lr width", "trained area")
DIFFERENCES = ("trained area", "divergence share", "lost share", "lr sensitivity", "tuned score")
"""Measures of which plain ratios and differences are calibrated too."""


def sample(regime: Regime, seeds: int, rng: np.random.Generator) -> dict[str, tuple[Estimate | None, float]]:
    """Every estimate of one draw beside its truth: of a landscape, and of a pair whose lr widths differ."""
    one, other = pair(regime, seeds, rng)
    (evidence,) = gather([one.landscape, other.landscape], TOLERANCES)
    own, base = measures(evidence, "none"), measures(evidence, "clip_norm")
    pairs = {name: (estimate, one.truth[name]) for name, estimate in own.items()}
    truths = paired_truths(one, other)
    compared = comparisons(evidence, "none", "clip_norm")
    # The same pair as one transform under two conditions.
    scaled = replace(other.landscape, transform="none", condition="loss_scale=100")
    here, there = gather([one.landscape, scaled], TOLERANCES)
    compared["gradient-scale shift"] = shift(here, there, "none")
    for name, estimate in compared.items():
        pairs[name] = estimate, truths[name]
    for name in dict.fromkeys(RATIOS + DIFFERENCES):
        a, b = own[name], base[name]
        if a is None or b is None:
            continue
        if name in DIFFERENCES:
            pairs[f"difference of {name}"] = difference(a, b), one.truth[name] - other.truth[name]
        if name in RATIOS:
            pairs[f"ratio of {name}"] = ratio(a, b), float(np.log(one.truth[name] / other.truth[name]))
    return pairs


def pair(regime: Regime, seeds: int, rng: np.random.Generator) -> tuple[Planted, Planted]:
    """Two landscapes on one grid whose high edges move together."""
    shared = rng.normal(0, regime.jitter, seeds + POPULATION)
    offset = rng.uniform(0, 1, 2)
    high = regime.high + float(rng.uniform(-0.7, 0.7))
    one = draw(regime, seeds, rng, offset=offset, high=high, shared=shared)
    higher, low = high + float(rng.uniform(-0.3, 0.7)), float(rng.uniform(-0.4, 0.4))
    return one, draw(regime, seeds, rng, name="clip_norm", offset=offset, high=higher, low=low, shared=shared)


def covers(name: str, estimate: Estimate, truth: float) -> bool | None:
    """Whether the interval holds the truth; None where there is no interval."""
    span = estimate.interval(CONFIDENCE)
    if span is None:
        return None
    # A lower bound must not exceed a truth that lies outside of the grid, and need not reach it.
    high = np.inf if estimate.lower_bound and name in BEYOND else span[1] + 1e-9
    return bool(span[0] - 1e-9 <= truth <= high)


def coverage(regime: Regime, seeds: int, draws: int, rng: np.random.Generator) -> Found:
    """Coverage of every measure on one kind of landscape."""
    found: Found = {}
    for _ in range(draws):
        for name, (estimate, truth) in sample(regime, seeds, rng).items():
            covered = covers(name, estimate, truth) if estimate else None
            hit, of = found.get(name, (0, 0))
            found[name] = (hit, of) if covered is None else (hit + covered, of + 1)
    return found


Row = dict[str, object]
IMPORTANCES = "importances"
KINDS = (*REGIMES, *tuning_plants.PLANTS, IMPORTANCES)


def calibrate(
    draws: int, kinds: Iterable[str], jobs: int, done: Callable[[list[Row], str], None]
) -> list[Row]:
    """One row per kind of landscape, number of seeds and interval.

    Args:
        draws: landscapes per kind and number of seeds.
        kinds: of `KINDS`.
        jobs: processes.
        done: takes all rows so far and a line about the latest, after each kind and number of seeds.
    """
    asked = [(name, count, draws) for name in kinds for count in SEEDS]
    rows: list[Row] = []
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        answers = pool.map(calibrate_one, asked) if pool else map(calibrate_one, asked)
        for (name, count, _), (found, seconds) in zip(asked, answers, strict=True):
            for what, (hits, of) in found.items():
                row: Row = {"landscape": name, "n_seeds": count, "of": what, "hits": hits, "draws": of}
                rows.append(row | {"share": hits / of if of else None})
            done(rows, f"{name}, {count} seeds: {seconds:.0f} s")
    return rows


def calibrate_one(asked: tuple[str, int, int]) -> tuple[Found, float]:
    """Everything about one kind of landscape and number of seeds, and how long it took [s]."""
    name, count, draws = asked
    started = time.perf_counter()
    # Seeded by the kind and the number of seeds: the numbers are the same in any process and any order.
    rng = np.random.default_rng([KINDS.index(name), count])
    if name in REGIMES:
        found = coverage(REGIMES[name], count, draws, rng)
    elif name == IMPORTANCES:
        found = importance_plants.coverage(max(draws // FEWER, 1), count, rng)
    else:
        found = tuning_plants.coverage(name, count, draws, rng)
    return found, time.perf_counter() - started


def tables(rows: list[Row]) -> list[Table]:
    """One table per kind of landscape: a row per interval, a column per number of seeds."""
    made = []
    for name in dict.fromkeys(str(row["landscape"]) for row in rows):
        mine = [row for row in rows if row["landscape"] == name]
        seeds = sorted({int(str(row["n_seeds"])) for row in mine})
        table = Table(
            title=f"{name}: share of draws in which the {CONFIDENCE:.0%} interval covers the truth",
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for column in ("interval of", *(f"{s} seeds" for s in seeds), "draws"):
            table.add_column(column, no_wrap=True)
        for what in dict.fromkeys(str(row["of"]) for row in mine):
            shares = {int(str(row["n_seeds"])): row for row in mine if row["of"] == what}
            known = [shares.get(s, {"share": None, "draws": 0}) for s in seeds]
            shown = ["–" if row["share"] is None else f"{row['share']:.1%}" for row in known]
            table.add_row(what, *shown, str(min(int(str(row["draws"])) for row in known)))
        made.append(table)
    return made


def main() -> None:
    """Print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000, help="landscapes per kind and number of seeds")
    parser.add_argument("--only", nargs="*", choices=KINDS, help="kinds of landscapes")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("calibration.json"), help="file to write")
    given = parser.parse_args()
    console = Console(width=110)

    def done(rows: list[Row], line: str) -> None:
        # Written after every step: a run that is stopped leaves what it has.
        given.out.write_text(json.dumps({"confidence": CONFIDENCE, "rows": rows}, indent=1) + "\n")
        console.print(line, style="dim", highlight=False)

    for table in tables(calibrate(given.draws, given.only or KINDS, given.jobs, done)):
        console.print(table)
    console.print(f"written: {given.out}", highlight=False)


if __name__ == "__main__":
    main()
