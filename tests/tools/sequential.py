"""How often studies that go on until they are decided give a false verdict, and how soon they decide.

The planted studies of `tests.tools.verdicts` go through the shipped looks: judged after each of them, with
seeds added for open claims alone. The unit is the study. It errs if any verdict of any look is false.

    python -m tests.tools.sequential --studies 2000 --looks 3 5 8 12 --jobs 2 --out sequential.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from study.analysis import Analysis
from study.claims.looks import planned
from study.claims.sequence import DECIDED, FUTILE, Judgement, judge_in_sequence
from study.claims.verdicts import Claim
from tests.tools.verdicts import CHUNK, FEWER, IMPROVED, KINDS, WD, WIDENS, Drawn, Tally, _table, draw, row_of

LOOKS = (3, 5, 8, 12)
DIFFERENCES = (WIDENS, FEWER, WD, IMPROVED)
"""Claims whose number is a difference, which is 0 between twins."""
Asked = tuple[str, tuple[int, ...], str, int, int]


@dataclass
class Sequences:
    """Counts over studies of one kind.

    Attributes:
        tally: of the verdicts that each study ended with.
        standing: claims by (id, standing). seeds: used by the decided ones, summed by id.
        covered: by id, intervals at the look that ended the claim that hold 0, and all of them.
        spent: seeds of the last look of each study, summed.
    """

    tally: Tally = field(default_factory=Tally)
    standing: Counter[tuple[str, str]] = field(default_factory=Counter)
    seeds: Counter[str] = field(default_factory=Counter)
    covered: Counter[tuple[str, bool]] = field(default_factory=Counter)
    spent: int = 0

    def add(self, found: Judgement, name: str) -> None:
        """One more study."""
        kind = KINDS[name]
        self.tally.add(found.claims, kind.truths)
        self.spent += found.look.seeds if found.look else 0
        for claim in found.claims:
            self.standing[claim.id, claim.standing] += 1
            if claim.standing == DECIDED:
                self.seeds[claim.id] += claim.n_seeds
            if kind.plant.startswith("twins") and claim.id in DIFFERENCES and claim.interval:
                self.covered[claim.id, holds_zero(claim)] += 1

    def merge(self, other: Sequences) -> None:
        self.tally.merge(other.tally)
        self.standing.update(other.standing)
        self.seeds.update(other.seeds)
        self.covered.update(other.covered)
        self.spent += other.spent


def holds_zero(claim: Claim) -> bool:
    """Whether the interval holds 0; a bound is open on the side where the truth may lie further."""
    assert claim.interval
    low = -np.inf if claim.upper_bound else claim.interval[0] - 1e-9
    high = np.inf if claim.lower_bound else claim.interval[1] + 1e-9
    return bool(low <= 0 <= high)


def run(asked: Asked) -> tuple[str, Sequences]:
    """Draw the studies first … last - 1 of a kind, and judge each look by look."""
    name, looks, design, first, last = asked
    found = Sequences()
    for index in range(first, last):
        drawn = draw(name, index, looks[-1])
        started = time.perf_counter()
        found.add(judged(drawn, looks, design), name)
        found.tally.seconds["judging"] += time.perf_counter() - started
    return name, found


def judged(drawn: Drawn, looks: tuple[int, ...], design: str) -> Judgement:
    """A study after its looks. An edge-seeking design asks for cells look by look, and finds all of them."""
    spec = drawn.plan.spec
    if design == "grid":
        return judge_in_sequence(drawn.landscapes, planned(looks), spec.region, spec.verdicts.indifference)
    verdicts = replace(spec.verdicts, looks=looks)
    seeking = spec.model_copy(update={"design": design, "edges_of": ("trained",), "verdicts": verdicts})
    return Analysis(replace(drawn.plan, spec=seeking), drawn.stored).judgement


def calibrate(
    studies: int,
    kinds: Sequence[str],
    looks: tuple[int, ...] = LOOKS,
    jobs: int = 1,
    design: str = "grid",
) -> dict[str, Sequences]:
    """Counts by kind."""
    asked = [
        (name, looks, design, first, min(first + CHUNK, studies))
        for name in kinds
        for first in range(0, studies, CHUNK)
    ]
    total = {name: Sequences() for name in kinds}
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        for name, found in pool.map(run, asked) if pool else map(run, asked):
            total[name].merge(found)
    return total


def values_of(name: str, found: Sequences, looks: Sequence[int]) -> dict[str, Any]:
    """A kind as JSON."""
    row = row_of(name, looks[-1], found.tally)
    for id_, one in row["claims"].items():
        decided = found.standing[id_, DECIDED]
        hits, missed = found.covered[id_, True], found.covered[id_, False]
        one["decided"] = decided / one["asked"]
        one["futile"] = found.standing[id_, FUTILE] / one["asked"]
        one["mean seeds of the decided"] = found.seeds[id_] / decided if decided else None
        one["coverage at the end"] = hits / (hits + missed) if hits + missed else None
    return row | {"looks": list(looks), "mean seeds": found.spent / found.tally.studies}


def main() -> None:
    """Print two tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=2000, help="per kind")
    parser.add_argument("--looks", type=int, nargs="+", default=list(LOOKS), help="numbers of seeds")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="KIND")
    parser.add_argument("--design", choices=["grid", "edges"], default="grid", help="which cells are seen")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("sequential.json"), help="file to write")
    given = parser.parse_args()
    console, rows, looks = Console(width=140), [], tuple(given.looks)
    family = _table("studies with any false verdict at any look", "kind", "share", "of", "seeds", "> 5 %")
    claims = _table("claims", "kind", "claim", "false", "decided", "futile", "seeds", "covers 0")
    for name in given.kinds:
        # Written after every kind: a run that is stopped leaves what it has.
        row = values_of(name, calibrate(given.studies, [name], looks, given.jobs, given.design)[name], looks)
        rows.append(row)
        given.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
        beyond = "yes" if row["rejected"] else ""
        family.add_row(name, f"{row['share']:.1%}", str(row["studies"]), f"{row['mean seeds']:.1f}", beyond)
        for id_, one in row["claims"].items():
            false = (one["false supported"] + one["false refuted"]) / one["asked"]
            if one["decided"] or false:
                seeds, cover = one["mean seeds of the decided"], one["coverage at the end"]
                claims.add_row(
                    name,
                    id_,
                    f"{false:.1%}",
                    f"{one['decided']:.0%}",
                    f"{one['futile']:.0%}",
                    f"{seeds:.1f}" if seeds else "",
                    "" if cover is None else f"{cover:.1%}",
                )
        console.print(f"{name}: {row['false']} of {row['studies']}", style="dim", highlight=False)
    console.print(family, claims)
    console.print(f"written: {given.out}", highlight=False)


if __name__ == "__main__":
    main()
