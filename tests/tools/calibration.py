"""How often intervals cover planted truths, and how often verdicts err or find a planted ratio.

`make calibration` runs it in full.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from study.claims.finding import Comparison, Finding
from study.claims.verdicts import INCONCLUSIVE, SUPPORTED, Question, judge
from study.measures.divergence import divergence_share
from study.measures.estimate import Estimate, difference, ratio
from study.measures.landscape import Landscape
from study.measures.lr_limits import decades_above, largest_lr
from study.measures.reference import reference_scores
from study.measures.regions import Region, region
from study.measures.sensitivity import lr_sensitivity, wd_sensitivity
from study.measures.tuning import tuned_score
from study.spec.tolerances import Tolerances
from tests.tools.regimes import REGIMES, Regime, draw

CONFIDENCE, SEEDS = 0.95, (3, 5, 10)
PLANTED_RATIO = 1.25
TOLERANCES = Tolerances()


def regions_of(landscape: Landscape) -> dict[str, Region]:
    best_S = reference_scores([landscape.plateau_SN])
    return {kind: region(landscape, best_S, kind, "own", TOLERANCES) for kind in ("trained", "competitive")}


def measures(landscape: Landscape) -> dict[str, Estimate | None]:
    """Every measure whose truth a planted landscape knows."""
    found: dict[str, Estimate | None] = {}
    regions = regions_of(landscape)
    for kind, one in regions.items():
        found |= {
            f"{kind} area": one.area,
            f"{kind} lr width": one.lr_width,
            f"{kind} wd width": one.wd_width,
        }
    middle = len(landscape.weight_decay) // 2
    # Landscapes of six rows run through along weight decay: they have no sensitivity to measure.
    rows = landscape.key_SWL.shape[1]
    sensitivity = wd_sensitivity(landscape) if rows != REGIMES["like quickstart"].rows else None
    return found | {
        "max stable lr": largest_lr(regions["trained"], middle),
        "decades above optimum": decades_above(regions["trained"], middle),
        "divergence share": divergence_share(landscape),
        "lr sensitivity": lr_sensitivity(landscape),
        "wd sensitivity": sensitivity,
        "tuned score": tuned_score(landscape),
    }


BEYOND = ("max stable lr", "decades above optimum")
"""Measures whose truth is known outside of the grid too; the sizes' truths are those within its window."""
PAIRED = ("trained lr width", "trained area", "divergence share", "lr sensitivity", "tuned score")
"""Measures of which differences are calibrated too; ratios of the first two."""
ASKED = (
    "trained lr width",
    "trained area",
    "competitive lr width",
    "divergence share",
    "wd sensitivity",
    "tuned score",
)
"""Measures that a pair of transforms is compared by; the first as a ratio."""


def sample(regime: Regime, seeds: int, rng: np.random.Generator) -> dict[str, tuple[Estimate | None, float]]:
    """Every estimate of one draw beside its truth: of a landscape, and of a pair whose lr widths differ."""
    shared = rng.normal(0, regime.jitter, seeds)
    offset = rng.uniform(0, 1, 2)
    high = regime.high + float(rng.uniform(-0.7, 0.7))
    one = draw(regime, seeds, rng, offset=offset, high=high, shared=shared)
    other = draw(
        regime,
        seeds,
        rng,
        name="clip_norm",
        offset=offset,
        high=high + float(rng.uniform(-0.3, 0.7)),
        low=float(rng.uniform(-0.4, 0.4)),
        shared=shared,
    )
    own, base = measures(one.landscape), measures(other.landscape)
    pairs: dict[str, tuple[Estimate | None, float]] = {
        name: (estimate, one.truth[name]) for name, estimate in own.items()
    }
    for name in PAIRED:
        a, b = own[name], base[name]
        if a is None or b is None:
            continue
        pairs[f"difference of {name}"] = difference(a, b), one.truth[name] - other.truth[name]
        if name in PAIRED[:2]:
            pairs[f"ratio of {name}"] = ratio(a, b), float(np.log(one.truth[name] / other.truth[name]))
    return pairs


def coverage(regime: Regime, seeds: int, draws: int, rng: np.random.Generator) -> dict[str, tuple[int, int]]:
    """Per interval: in how many draws it covered the truth, and in how many there was one."""
    found: dict[str, tuple[int, int]] = {}
    for _ in range(draws):
        for name, (estimate, truth) in sample(regime, seeds, rng).items():
            span = estimate.interval(CONFIDENCE) if estimate else None
            hit, of = found.get(name, (0, 0))
            if estimate and span:
                # A lower bound must not exceed a truth that lies outside of the grid, and need not reach it.
                beyond = estimate.lower_bound and name in BEYOND
                high = np.inf if beyond else span[1] + 1e-9
                found[name] = hit + int(span[0] - 1e-9 <= truth <= high), of + 1
            else:
                found[name] = hit, of
    return found


def questions_of(name: str, own: Landscape, base: Landscape) -> list[Question]:
    """Six questions about a pair, as a study asks them: are its sizes and scores different?"""
    mine, theirs = measures(own), measures(base)
    seeds = len(own.seeds)
    questions = []
    for measure in ASKED:
        a, b = mine[measure], theirs[measure]
        if a is None or b is None:
            estimate = None
        else:
            estimate = ratio(a, b) if measure == "trained lr width" else difference(a, b)
        finding = Finding(measure, "", (Comparison("base", estimate, 0.0, above=True),))
        questions.append(Question(f"{name} {measure}", "", "", "", seeds, seeds, finding))
    return questions


def twins(regime: Regime, seeds: int, studies: int, rng: np.random.Generator) -> tuple[int, int]:
    """In how many studies of two equal transforms any of six questions got a verdict."""
    wrong = 0
    for _ in range(studies):
        offset, shared = rng.uniform(0, 1, 2), rng.normal(0, regime.jitter, seeds)
        pair = [
            draw(regime, seeds, rng, name=name, offset=offset, shared=shared).landscape
            for name in ("none", "twin")
        ]
        claims = judge(questions_of("twin", *pair), CONFIDENCE, 3)
        wrong += any(claim.verdict != INCONCLUSIVE for claim in claims)
    return wrong, studies


def power(regime: Regime, seeds: int, studies: int, rng: np.random.Generator) -> tuple[int, int]:
    """In how many studies a trained lr width that is 1.25 times as long is found to be longer."""
    found = 0
    for _ in range(studies):
        offset, shared = rng.uniform(0, 1, 2), rng.normal(0, regime.jitter, seeds)
        base = draw(regime, seeds, rng, offset=offset, shared=shared)
        high = regime.high + (PLANTED_RATIO - 1) * base.truth["trained lr width"]
        wider = draw(regime, seeds, rng, name="wider", offset=offset, shared=shared, high=high)
        (claim,) = judge(questions_of("wider", wider.landscape, base.landscape)[:1], CONFIDENCE, 3)
        found += claim.verdict == SUPPORTED
    return found, studies


Row = dict[str, object]
STUDIES: Mapping[str, Callable[[Regime, int, int, np.random.Generator], tuple[int, int]]] = {
    "a verdict on identical twins": twins,
    "a ratio of 1.25 found": power,
}


def calibrate(
    draws: int, studies: int, regimes: Iterable[str], jobs: int, done: Callable[[list[Row], str], None]
) -> list[Row]:
    """One row per kind of landscape, number of seeds and interval (or kind of verdict).

    Args:
        draws: landscapes per kind and number of seeds.
        studies: pairs of transforms per kind and number of seeds.
        jobs: processes.
        done: takes all rows so far and a line about the latest, after each kind and number of seeds.
    """
    asked = [(name, count, draws, studies) for name in regimes for count in SEEDS]
    rows: list[Row] = []
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        answers = pool.map(calibrate_one, asked) if pool else map(calibrate_one, asked)
        for (name, count, *_), (found, seconds) in zip(asked, answers, strict=True):
            for what, (hits, of) in found.items():
                row: Row = {"landscape": name, "n_seeds": count, "of": what, "hits": hits, "draws": of}
                rows.append(row | {"share": hits / of if of else None})
            done(rows, f"{name}, {count} seeds: {seconds:.0f} s")
    return rows


def calibrate_one(asked: tuple[str, int, int, int]) -> tuple[dict[str, tuple[int, int]], float]:
    """Everything about one kind of landscape and number of seeds, and how long it took [s]."""
    name, count, draws, studies = asked
    started = time.perf_counter()
    # Seeded by the kind and the number of seeds: the numbers are the same in any process and any order.
    regime, rng = REGIMES[name], np.random.default_rng([list(REGIMES).index(name), count])
    found = coverage(regime, count, draws, rng)
    for title, study in STUDIES.items():
        found[title] = study(regime, count, studies, rng)
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
            shares = {row["n_seeds"]: row for row in mine if row["of"] == what}
            shown = ["–" if shares[s]["share"] is None else f"{shares[s]['share']:.1%}" for s in seeds]
            table.add_row(what, *shown, str(min(int(str(shares[s]["draws"])) for s in seeds)))
        made.append(table)
    return made


def main() -> None:
    """Print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000, help="landscapes per kind and number of seeds")
    parser.add_argument(
        "--studies",
        type=int,
        default=300,
        help="pairs of transforms per kind and number of seeds, of which verdicts are counted",
    )
    parser.add_argument("--only", nargs="*", choices=list(REGIMES), help="kinds of landscapes")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("calibration.json"), help="file to write")
    given = parser.parse_args()
    console = Console(width=110)

    def done(rows: list[Row], line: str) -> None:
        # Written after every step: a run that is stopped leaves what it has.
        answer = {"confidence": CONFIDENCE, "planted_ratio": PLANTED_RATIO, "rows": rows}
        given.out.write_text(json.dumps(answer, indent=1) + "\n")
        console.print(line, style="dim", highlight=False)

    for table in tables(calibrate(given.draws, given.studies, given.only or REGIMES, given.jobs, done)):
        console.print(table)
    console.print(f"written: {given.out}", highlight=False)


if __name__ == "__main__":
    main()
