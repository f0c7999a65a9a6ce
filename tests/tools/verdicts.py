"""How often the shipped ledger gives a false verdict on whole studies whose truth is known.

Planted records go the shipped road: a spec, its plan, landscapes, evidence, and all claims judged together.
The unit is the study. A study errs if any one of its verdicts is false.

    python -m tests.tools.verdicts --studies 1000 --seeds 3 5 10 --jobs 2 --out verdicts.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import beta, binom

from study.claims import catalogue
from study.claims.verdicts import INCONCLUSIVE, REFUTED, SUPPORTED, Claim
from study.measures.catalogue import MEASURES, cases, measured
from study.measures.estimate import Estimate, difference
from study.measures.evidence import Evidence, gather
from study.measures.landscape import Landscape, landscapes
from study.measures.regions import width_difference
from study.plan.cells import Plan, make_plan, settings
from study.spec.conditions import Condition
from study.spec.read import parse_spec
from study.spec.tolerances import Tolerances
from tests.tools.plants import PLANTS, Grid, Measures, Plant
from tracking import CellRecord

Array = NDArray[np.float64]
SEEDS = (3, 5, 10)
CONFIDENCE, RATE = 0.95, 0.05
SURE = 0.99
"""A rate of at most `RATE` is rejected where so many errors would occur with less than 1 - this."""
NO_DIFFERENCE = "no difference"
PLACES = 16
"""Places of a landscape between two columns. A few, since the truth of each is computed once and kept."""
METHODS = ("gradient_stabilizer", "autoscale")
"""Transforms with the method's surface. The claims about accuracy are about the second."""
BREAKING = Tolerances().breaking


# What is true.


@dataclass(frozen=True)
class Is:
    """Whether each verdict on a claim would be true; None where the plant does not know.

    Attributes:
        why: in one line. equal: whether "no difference" would be true.
    """

    supported: bool | None
    refuted: bool | None
    why: str
    equal: bool | None = None

    def of(self, verdict: str) -> bool | None:
        """Whether this verdict is true; None for one that the table does not know."""
        return {SUPPORTED: self.supported, REFUTED: self.refuted, NO_DIFFERENCE: self.equal}.get(verdict)


def same(why: str) -> Is:
    """The sentence says that the method is better, and it is equal: neither side is true."""
    return Is(False, False, why, equal=True)


def holds(why: str) -> Is:
    return Is(True, False, why)


def fails(why: str) -> Is:
    return Is(False, True, why)


def better(why: str) -> Is:
    """The method is better, by how much is no matter."""
    return Is(True, False, why)


def open_(why: str) -> Is:
    return Is(None, None, why)


Truths = dict[str, Is]
WIDENS, FEWER, WD = "stabilizer-widens-lr", "stabilizer-fewer-divergences", "stabilizer-wd-insensitive"
MAINTAINED, IMPROVED = "autoscale-accuracy-maintained", "autoscale-accuracy-improved"
FREE, PLUG_IN, ZSCORE = "autoscale-hyperparameter-free", "plug-in", "zscore-amplifies"
AMPLIFIES, DIRECTION = "autoscale-never-amplifies", "stabilizer-keeps-direction"
BOUNDED, CONVERGES = "stabilizer-bounded-on-spikes", "autoscale-converges"
PREMISE = "autoscale-converges-premise"
LOWER_TUNED, LOWER_DEFAULT = "stabilizer-lower-tuned-loss", "stabilizer-lower-default-loss"
NO_WARMUP, NO_SCHEDULE = "stabilizer-needs-no-warmup", "stabilizer-needs-no-schedule"
SCHEDULE_FREE = "schedule-free-needs-no-schedule"

TWINS: Truths = {
    WIDENS: same("widths are equal"),
    FEWER: same("divergence shares are equal"),
    WD: same("sensitivities are equal"),
    IMPROVED: same("tuned scores are equal"),
    MAINTAINED: holds("equal scores are maintained"),
    PLUG_IN: holds("equal scores with every optimizer"),
    FREE: holds("no part is worse than the baseline's, and neither scale nor constants move anything"),
    LOWER_TUNED: same("tuned losses are equal"),
    LOWER_DEFAULT: same("losses are equal in every cell"),
    NO_WARMUP: same("neither the method nor the baseline loses anything without"),
    NO_SCHEDULE: same("neither the method nor the baseline loses anything at a constant lr"),
    SCHEDULE_FREE: same("neither optimizer loses anything at a constant lr"),
    ZSCORE: same("gains are above 10, but neither divergence nor score is worse: either verdict is false"),
}
"""What holds where all transforms have one distribution, and nothing is recorded but by the twins' rules."""
RECORDED: Truths = {
    "global-std-decreases": holds("the global deviation falls and the last layer's rises"),
    "layer-std-rises": holds("the last layer's deviation rises"),
    "stabilizer-keeps-whole-direction": fails("the whole gradient's cosine is about 0.8"),
}
"""What holds of recorded histories, whatever breaks in them."""
UNSCORED: Mapping[str, str] = {
    "stabilizer-damps-spikes": "the plants' norms have no peak on a spike's step",
    "stabilizer-recovers-from-spikes": "the plants' norms have nothing to recover from",
    "stabilizer-fewer-spikes": "the plants record eight moments, and a spike needs more before it",
}
"""Claims that no plant can score, and why."""
RULES = (AMPLIFIES, DIRECTION, BOUNDED)
"""Sentences about every single step."""


def broken(share: float) -> Truths:
    """Rules that a share of the runs breaks, each of them on its own draw."""
    said = f"{share:g} of the runs break it, {BREAKING:g} are allowed"
    # Both may be true at once: one counterexample refutes, and a few do not keep a rule from being held.
    return dict.fromkeys(RULES, Is(share <= BREAKING, share > 0, said))


NORMS_OVERFLOW: Truths = {
    BOUNDED: fails("nearly every run has a norm that is not finite in a living cell (S3)"),
    AMPLIFIES: holds("scales are not touched"),
    DIRECTION: holds("cosines are not touched"),
}
SCALES_OVERFLOW: Truths = {
    AMPLIFIES: fails("nearly every run has a scale that is not finite in a living cell (S3)"),
    DIRECTION: open_("a cosine that is not finite may be that of a zero gradient"),
    BOUNDED: holds("norms are not touched"),
    "stabilizer-keeps-whole-direction": open_("as for the tensors"),
    ZSCORE: open_("whether a gain that is not finite amplifies is a matter of words"),
}
OPEN_FREE: Truths = {FREE: open_("the common grid's sensitivities differ by a mere shift or width")}
TABLE: Mapping[str, Truths] = {
    "twins": TWINS,
    "cut": TWINS,
    "cut-wider": TWINS | {WIDENS: Is(True, False, "wider, all of it outside of the grid", equal=False)},
    "dead-instead": TWINS
    | {
        FEWER: same("dead and departed cells together are equal, both count (S11)"),
        WD: open_("a dead network's loss is a little below the untrained one"),
    },
    "contained": TWINS
    | OPEN_FREE
    | {
        WIDENS: better("wider in every row"),
        FEWER: open_("rows that never train diverge elsewhere, and the window knows only the optimum"),
        WD: open_("rows that train for one alone have other losses"),
    },
    "shifted": TWINS | OPEN_FREE,
    # Half of a column: a mean over columns takes other places of the same landscape.
    "shifted-0.25": TWINS | OPEN_FREE | {WD: open_("columns lie elsewhere on the method's landscape")},
    "uneven": TWINS
    | OPEN_FREE
    | {
        FEWER: open_("a region whose edges vary more loses other cells in windows around its optimum"),
        WD: open_("rows whose edges vary more have other losses at the rim"),
    },
    "effect-width": TWINS
    | OPEN_FREE
    | {
        WIDENS: better("the left edge is further left"),
        FEWER: open_("the window's centre may move with the left edge"),
        WD: open_("columns at the left edge may be the best ones"),
    },
    "effect-share": TWINS
    | {
        FEWER: better("diverges later, and trained regions are equal"),
        WD: open_("what is poor instead of diverged has a loss a little below the untrained one"),
    },
    "effect-wd": TWINS | {WD: better("less sensitive in every column")},
    "effect-score": TWINS
    | {IMPROVED: better("a higher top"), PLUG_IN: holds("a higher top with every optimizer")},
    "universal": TWINS | RECORDED,
    "overflow-norms": TWINS | RECORDED | NORMS_OVERFLOW,
    "overflow-scales": TWINS | RECORDED | SCALES_OVERFLOW,
    "smooth": {
        AMPLIFIES: holds("the scale is 1 at every step"),
        CONVERGES: holds("gradient descent obeys the bound in expectation"),
        PREMISE: holds("the scale is 1 and lr at most 1/β"),
    },
    "smooth-broken": {
        AMPLIFIES: fails("the scale is 3 at one step of every run"),
        # Whether support is true depends on whether the row asks for the premise too.
        CONVERGES: Is(None, False, "a premise that fails does not refute what it implies (S10)"),
        PREMISE: fails("β lr a_t is 3 at lr = 1/β"),
    },
}
"""By family of plants and claim. Effects are positive in all of `PLANTS`: in the method's favour."""


def truths_of(plant: str) -> Truths:
    """The row of a plant: what is true of each claim that is scored in it."""
    family, _, size = plant.rpartition("-")
    if plant.startswith("delta-"):
        # The truth lies on the border of the band itself, so "no difference" is as false as "refuted".
        row = TABLE["effect-" + plant.split("-")[1]]
        return {id_: is_ if is_ == TWINS[id_] else replace(is_, equal=False) for id_, is_ in row.items()}
    if plant.startswith("universal-"):
        return TABLE[family] | broken(float(size))
    for name in (plant, family, plant.split("-")[0]):
        if name in TABLE:
            return TABLE[name]
    raise KeyError(f"no row of TABLE is about {plant!r}; add one")


# The studies.

PLAIN = """
name: planted
workload: digits
model: mlp
optimizer: adamw
transforms: [none, clip_norm, centralization, zscore, unit_norm, autoscale, gradient_stabilizer]
lr: {low: 1e-5, high: 31.6227766, points_per_decade: 2}
weight_decay: {low: 1e-4, high: 10, points_per_decade: 1}
seeds: SEEDS
budget: {steps: 200, batch_size: 64, dynamics: 25}
"""
LAYOUTS: Mapping[str, str] = {
    "plain": PLAIN,
    "optimizers": PLAIN.replace("optimizer: adamw", "optimizer: [sgd, adamw, rmsprop, lion]").replace(
        "clip_norm, centralization, zscore, unit_norm, autoscale, ", "clip_norm, unit_norm, "
    ),
    "free": PLAIN.replace("workload: digits", "workload: [digits, {name: digits, label_smoothing: 0.1}]")
    .replace(
        "clip_norm, centralization, zscore, unit_norm, autoscale, gradient_stabilizer",
        "autoscale, {name: autoscale, numerator: 8.0}",
    )
    .replace("low: 1e-4, high: 10", "low: 1e-3, high: 1")
    + "conditions: {loss_scale: [0.01, 1, 100]}\n",
    # The plants record eight steps. Each of them has a spike, so that whatever breaks, breaks on one.
    "spikes": PLAIN.replace("centralization, zscore, unit_norm, autoscale, ", "")
    .replace("low: 1e-4, high: 10", "low: 1e-3, high: 1")
    .replace("dynamics: 25", "dynamics: 25, spike_steps: [25, 50, 75, 100, 125, 150, 175, 200]")
    + "conditions: {spike_size: [1, 100, 1e6]}\n",
    "warmup": PLAIN.replace(
        "clip_norm, centralization, zscore, unit_norm, autoscale, ", "clip_norm, unit_norm, "
    ).replace("low: 1e-4, high: 10", "low: 1e-3, high: 1")
    + "conditions: {warmup: [20, 0]}\n",
    "schedule": PLAIN.replace(
        "clip_norm, centralization, zscore, unit_norm, autoscale, ", "clip_norm, unit_norm, "
    )
    .replace("optimizer: adamw", "optimizer: [adamw, schedule_free_adamw]")
    .replace("low: 1e-4, high: 10", "low: 1e-3, high: 1")
    + "conditions: {schedule: [cosine, constant], steps: [200, 400]}\n",
    "smooth": """
name: smooth
workload: {name: quadratic, condition: CONDITION}
model: {name: linear, bias: false}
optimizer: sgd
transforms: [none, autoscale]
lr: [1e-3, 1e-2, 1e-1, 1]
weight_decay: [0]
seeds: SEEDS
budget: {steps: 60, batch_size: 64, precision: float64, points: 60, dynamics: 1}
""",
}
"""Specs, as YAML. Together they ask every claim of the ledger with all of its parts."""


@dataclass(frozen=True)
class Descent:
    """Plain gradient descent on a quadratic: f = ½ Σ λ_i θ_i², with noise of the workload's own variance.

    Attributes:
        condition: largest curvature (1) over the smallest. At 1 and lr 1/β the theorem's bound is nearly
            reached in expectation.
        scale: the scale that is recorded, and used, at one step of every run.
        one_way: all noise is in one parameter. The theorem asks for no more than its variance, and a run's
            mean then varies so much that nearly half of the runs with a tight bound lie beyond it by luck.
    """

    condition: float
    scale: float = 1.0
    one_way: bool = False


@dataclass(frozen=True)
class Kind:
    """Studies of one layout with one truth.

    Attributes:
        plant: a name of `PLANTS`. moves: decades by which the method's region moves to higher lr for each
            decade of the loss scale.
        descent: what makes the records, where no plant does.
        costs: by how much the best score of the baselines and of the method is worse without warm-up, or at a
            constant lr.
    """

    layout: str
    truths: Truths
    plant: str = ""
    moves: float = 0.0
    descent: Descent | None = None
    costs: tuple[float, float] = (0.0, 0.0)


def _kinds() -> dict[str, Kind]:
    found = {name: Kind("plain", truths_of(name), name) for name in PLANTS}
    further = {
        "optimizers": ("twins-flat", "twins-curved", "effect-score-2sd", "delta-score"),
        "free": ("twins-flat", "twins-curved"),
        "spikes": ("universal-0", "universal-0.05", "universal-0.3", "overflow-norms-0.3"),
    }
    for layout, names in further.items():
        found |= {f"{layout}/{name}": Kind(layout, truths_of(name), name) for name in names}
    edge = Is(False, False, "the region moves by 0.5 decades, which is the limit itself")
    moved = fails("the region moves by a decade each way, and half of one is allowed")
    for name, moves, is_ in (("limit", 0.25, edge), ("moved", 0.5, moved)):
        # Scales 1 alone are twins; what else is asked of the two others is asked of those.
        found[f"free/{name}"] = Kind("free", TWINS | {FREE: is_}, "twins-flat", moves)
    limit = Is(False, False, "what is lost is the limit itself", equal=False)
    for name, costs, is_ in (
        ("twins", (0.0, 0.0), TWINS[NO_WARMUP]),
        ("spared", (0.1, 0.0), holds("the baseline loses 0.1, and the method nothing")),
        ("limit", (0.1, 0.02), limit),
        ("paid", (0.1, 0.1), fails("the method loses 0.1, and 0.02 is nothing")),
    ):
        row = TWINS | {NO_WARMUP: is_, NO_SCHEDULE: is_}
        # The optimizers are twins, so that one without schedule loses as much as the other at a constant lr.
        free = (
            TWINS[SCHEDULE_FREE] if costs[0] == 0 else fails("it loses 0.1 at a constant lr, as AdamW does")
        )
        for layout in ("warmup", "schedule"):
            # All other claims are asked with warm-up and with a schedule, where the transforms are twins.
            found[f"{layout}/{name}"] = Kind(
                layout, row | {SCHEDULE_FREE: free}, "twins-loss-metric", costs=costs
            )
    for name, descent, row in (
        ("loose", Descent(100.0), "smooth"),
        ("tight", Descent(1.0, one_way=True), "smooth"),
        ("broken", Descent(100.0, 3.0), "smooth-broken"),
    ):
        found[f"smooth/{name}"] = Kind("smooth", TABLE[row], descent=descent)
    return found


KINDS: Mapping[str, Kind] = _kinds()


@lru_cache(maxsize=16)
def plan_of(layout: str, seeds: int, condition: float = 1.0) -> Plan:
    """The plan of a layout; it is the same for every draw."""
    text = LAYOUTS[layout].replace("SEEDS", str(seeds)).replace("CONDITION", f"{condition!r}")
    spec = parse_spec(text, layout)
    return make_plan(spec, {setting.name: "planted" for setting in settings(spec)})


Key = tuple[str, str, float, float, int]


@lru_cache(maxsize=16)
def keys_of(layout: str, seeds: int, condition: float = 1.0) -> dict[Key, str]:
    """Keys of cells by setting, label of the transform, lr, weight decay and seed."""
    plan = plan_of(layout, seeds, condition)
    label = {(one.name, one.constants): one.technical_name for one in plan.spec.transforms}
    return {
        (cell.setting, label[cell.transform, cell.constants], cell.lr, cell.weight_decay, cell.seed): cell.key
        for cell in plan.cells
    }


@dataclass(frozen=True)
class Drawn:
    """One study with all of its seeds. `plant` is where this draw has its landscapes; None for a descent."""

    landscapes: Sequence[Landscape]
    stored: Mapping[str, CellRecord]
    plan: Plan
    plant: Plant | None

    def evidence(self, seeds: int) -> list[Evidence]:
        """What a study of the first seeds would have gathered."""
        chosen = np.arange(len(self.plan.spec.seeds)) < seeds
        return gather([one.at_seeds(chosen) for one in self.landscapes], self.plan.spec.region)


def draw(name: str, index: int, seeds: int) -> Drawn:
    """Study number `index` of a kind: the same in any process, and with more seeds only longer."""
    kind = KINDS[name]
    rng = np.random.default_rng([*name.encode(), index])
    if kind.descent is not None:
        condition = kind.descent.condition
        plan = plan_of(kind.layout, seeds, condition)
        records: Iterable[CellRecord] = descended(kind, rng, seeds)
        plant = None
    else:
        plan = plan_of(kind.layout, seeds)
        lr = np.log10(plan.spec.lr)
        offset = (int(rng.integers(PLACES)) / PLACES - 0.5) * float(lr[1] - lr[0])
        plant = PLANTS[kind.plant].moved(offset)
        records = planted(kind, plant, rng, seeds)
    stored = {record.key: record for record in records}
    return Drawn(landscapes(plan, stored), stored, plan, plant)


def planted(kind: Kind, plant: Plant, rng: np.random.Generator, seeds: int) -> Iterator[CellRecord]:
    """The records of every setting of a study, each setting with its own luck."""
    plan, keys = plan_of(kind.layout, seeds), keys_of(kind.layout, seeds)
    spec = plan.spec
    grid = Grid(spec.lr, spec.weight_decay, spec.seeds)
    labels = [one.technical_name for one in spec.transforms]
    for key, setting in plan.settings.items():
        more = kind.moves * float(np.log10(setting.condition.budget.loss_scale))
        here = replace(plant, method=replace(plant.method, shift=plant.method.shift + more))
        here = worsened(here, kind.costs) if lacking(setting.condition) else here
        yield from here.records(
            np.random.default_rng(rng.integers(2**63)),
            grid,
            labels,
            # Bound now: the generator goes on to the next setting.
            key_of=lambda *cell, key=key: keys[(key, *cell)],
            methods=()
            if here.twins
            else [one.technical_name for one in spec.transforms if one.name in METHODS],
            workload=setting.name,
            optimizer=setting.optimizer.technical_name,
            setting=key,
            constants={one.technical_name: json.dumps(dict(one.constants)) for one in spec.transforms},
            steps=spec.budget.steps,
        )


def lacking(condition: Condition) -> bool:
    """Whether warm-up or schedule is left out where the study has both."""
    varied = dict(condition.varied)
    return varied.get("warmup") == 0 or varied.get("schedule") == "constant"


def worsened(plant: Plant, costs: tuple[float, float]) -> Plant:
    """The same plant with a worse best score of the baselines and of the method."""
    sign = 1 if plant.metric.direction == "min" else -1
    baseline, method = (
        replace(surface, top=surface.top + sign * cost)
        for surface, cost in zip((plant.baseline, plant.method), costs, strict=True)
    )
    return replace(plant, baseline=baseline, method=method)


@lru_cache(maxsize=4)
def _problem(condition: float, seeds: int) -> tuple[float, float, Array, Array]:
    """Smoothness, gradient variance, curvatures and starts [S, n] of the workload that the claim builds."""
    from study.spec.build import workload_of

    setting = next(iter(plan_of("smooth", seeds, condition).settings.values()))
    workload = workload_of(setting.workload, setting.model)
    assert workload.smooth is not None
    models = [workload.initial_model(seed) for seed in range(seeds)]
    curvature = np.asarray(models[0].get_buffer("curvature").numpy(), dtype=np.float64)
    starts = [np.concatenate([p.detach().numpy().ravel() for p in one.parameters()]) for one in models]
    variance = workload.smooth.variance(setting.condition.budget.batch_size)
    return workload.smooth.beta, variance, curvature, np.stack(starts).astype(np.float64)


def descended(kind: Kind, rng: np.random.Generator, seeds: int) -> Iterator[CellRecord]:
    """Records of plain noisy gradient descent, with the norm before every step and the scale of each."""
    assert kind.descent is not None
    condition = kind.descent.condition
    plan, keys = plan_of(kind.layout, seeds, condition), keys_of(kind.layout, seeds, condition)
    ((setting, _),) = plan.settings.items()
    spec = plan.spec
    steps, lr = spec.budget.steps, np.array(spec.lr)
    _, variance, curvature, starts = _problem(condition, seeds)
    labels = [one.technical_name for one in spec.transforms]
    scale = np.ones(steps)
    scale[steps // 2] = kind.descent.scale
    step_list = list(range(1, steps + 1))
    dynamics = json.dumps(
        {
            "step": step_list,
            "grad_std": [0.1] * steps,
            "scale": scale.tolist(),
            "layer_std": {"weight": [0.1] * steps},
        }
    )
    noisy = np.zeros(len(curvature))
    noisy[: 1 if kind.descent.one_way else None] = 1.0
    noisy *= np.sqrt(variance / noisy.sum())
    entropy = rng.integers(0, 2**63, size=seeds)
    for s, seed in enumerate(spec.seeds):
        luck = np.random.default_rng(entropy[s])
        for label in labels:
            theta = np.repeat(starts[s][None], len(lr), axis=0)
            norm, loss = np.empty((steps + 1, len(lr))), np.empty((steps + 1, len(lr)))
            for t in range(steps + 1):
                gradient = curvature * theta
                norm[t], loss[t] = (gradient**2).sum(axis=1), 0.5 * (gradient * theta).sum(axis=1)
                if t < steps:
                    # All cells of a seed see the same batches.
                    z = luck.standard_normal(len(curvature)) * noisy
                    theta = theta - (lr * scale[t])[:, None] * (gradient + z)
            for k, rate in enumerate(spec.lr):
                curve = tuple(zip(range(steps + 1), loss[:, k].tolist(), norm[:, k].tolist(), strict=True))
                yield CellRecord(
                    key=keys[setting, label, rate, 0.0, seed],
                    workload="quadratic",
                    optimizer="sgd",
                    transform=label,
                    constants="{}",
                    lr=rate,
                    weight_decay=0.0,
                    seed=seed,
                    setting=setting,
                    outcome="finished",
                    reason=None,
                    diverged_step=None,
                    steps=steps,
                    loss_initial=curve[0][1],
                    loss_final=curve[-1][1],
                    metric_name="squared_gradient_norm",
                    metric_direction="min",
                    metric_initial=curve[0][2],
                    metric_final=curve[-1][2],
                    metric_best=min(point[2] for point in curve),
                    seconds=0.05,
                    curve=curve,
                    dynamics=dynamics,
                    provenance="{}",
                )


# The count.

TIMED = ("records", "judging", "coverage")
RIGHT, WRONG, OPEN, NOT_SCORED = "true", "false", "inconclusive", "not scored"


def scored(claims: Sequence[Claim], truths: Truths) -> Iterator[tuple[str, str]]:
    """Per claim its id and what became of it: `false supported`, `true refuted`, `inconclusive` …"""
    for claim in claims:
        if claim.verdict == INCONCLUSIVE:
            yield claim.id, OPEN
            continue
        is_ = truths[claim.id].of(claim.verdict) if claim.id in truths else None
        yield claim.id, f"{NOT_SCORED if is_ is None else RIGHT if is_ else WRONG} {claim.verdict}"


@dataclass
class Tally:
    """Counts over studies of one kind and number of seeds.

    Attributes:
        wrong: studies with any false verdict.
        verdicts: questions by (claim, what became of it). wrong_in: studies by the claim that erred in them.
        cover: by interval: how often it covered, how often there was one.
        seconds: of making records and of judging.
    """

    studies: int = 0
    wrong: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong_in: Counter[str] = field(default_factory=Counter)
    cover: Counter[tuple[str, bool]] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TIMED, 0.0))

    def add(self, claims: Sequence[Claim], truths: Truths) -> None:
        """One more study."""
        found = list(scored(claims, truths))
        bad = {id_ for id_, what in found if what.startswith(WRONG)}
        self.studies += 1
        self.wrong += bool(bad)
        self.verdicts.update(found)
        self.wrong_in.update(bad)

    def merge(self, other: Tally) -> None:
        self.studies += other.studies
        self.wrong += other.wrong
        self.verdicts.update(other.verdicts)
        self.wrong_in.update(other.wrong_in)
        self.cover.update(other.cover)
        for what, spent in other.seconds.items():
            self.seconds[what] += spent


def interval(hits: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share."""
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def rejected(hits: int, of: int) -> bool:
    """Whether a rate of at most `RATE` is rejected: so many errors are rarer than 1 - `SURE`."""
    return bool(binom.sf(hits - 1, of, RATE) < 1 - SURE)


# Coverage.

Known = Callable[[Measures], float | None]


def _mean_of(name: str) -> Known:
    def of(truth: Measures) -> float | None:
        value = getattr(truth, name)
        return None if value is None else float(np.mean(value))

    return of


def _wd(truth: Measures) -> float | None:
    """Over the columns where a cell is competitive in expectation."""
    if truth.capped_loss is None or truth.score is None:
        return None
    best, worst = truth.score.max(), truth.score.min()
    columns = truth.score.max(axis=0) >= worst + (1 - Tolerances().competitive) * (best - worst)
    loss = truth.capped_loss[:, columns].mean(axis=1)
    return float(loss.mean() - loss.min())


def _own_width(truth: Measures) -> float | None:
    """Over the rows in which the transform itself ever trains."""
    if truth.lr_width is None or not (truth.lr_width > 0).any():
        return None
    return float(truth.lr_width[truth.lr_width > 0].mean())


def _lost(truth: Measures) -> float | None:
    """Departed and dead cells: which of the two a dead one is recorded as is luck."""
    if truth.departed_share is None or truth.dead_share is None:
        return None
    return truth.departed_share + truth.dead_share


TRUE_VALUES: Mapping[str, Known] = {
    "trained lr width (own best)": _own_width,
    "trained area (own best)": lambda truth: truth.area,
    "divergence share": lambda truth: truth.departed_share,
    "collapse share": lambda truth: truth.dead_share,
    "lost share": _lost,
    "lr sensitivity": _mean_of("lr_sensitivity"),
    "wd sensitivity": _wd,
    "tuned score": lambda truth: truth.tuned_score,
}
"""Measure of `study.measures.catalogue` by name, and its truth in the plant's words. Adapt both here."""


def covered(estimate: Estimate, truth: float) -> bool | None:
    """Whether the interval covers; a bound is open on the side where the truth may lie further."""
    span = estimate.interval(CONFIDENCE)
    if span is None:
        return None
    low = -np.inf if estimate.upper_bound else span[0] - 1e-9
    high = np.inf if estimate.lower_bound else span[1] + 1e-9
    return bool(low <= truth <= high)


def coverage(drawn: Drawn, evidence: Sequence[Evidence], tally: Counter[tuple[str, bool]]) -> None:
    """Every measure of the method and of `none`, and of their difference, beside its truth."""
    if drawn.plant is None:
        return
    spec = drawn.plan.spec
    truth = drawn.plant.truth(Grid(spec.lr, spec.weight_decay, spec.seeds))
    by_name = {case.landscape.method: case for case in cases(evidence[:1], drawn.stored)}
    own, base = by_name.get("gradient_stabilizer"), by_name.get("none")
    if own is None or base is None:
        return
    if drawn.plant.metric.direction == "min":
        # A score is higher better, as the measures have it.
        sides = (truth.method, truth.baseline)
        method, baseline = (replace(one, score=None if one.score is None else -one.score) for one in sides)
        truth = replace(truth, method=method, baseline=baseline)
    pair = [evidence[0].regions[case.landscape.transform, "trained", "own"] for case in (own, base)]
    wider = width_difference(pair[0], pair[1])
    apart_by = 0.0 if drawn.plant.twins else truth.difference.mean_width
    if wider is not None and apart_by is not None:
        hit = covered(wider, apart_by)
        if hit is not None:
            tally["width difference, row by row", hit] += 1
    for name, value in TRUE_VALUES.items():
        if name not in MEASURES:
            continue
        a, b = measured(own, name), measured(base, name)
        x, y = value(truth.method), value(truth.baseline)
        asked: list[tuple[str, Any, float | None]] = [(name, a, x)]
        if isinstance(a, Estimate) and isinstance(b, Estimate):
            # The records of twins are exchangeable, so their difference is known where neither of them is.
            apart = 0.0 if drawn.plant.twins else None if x is None or y is None else x - y
            asked.append((f"difference of {name}", difference(a, b), apart))
        for what, estimate, known in asked:
            if known is not None and isinstance(estimate, Estimate):
                hit = covered(estimate, known)
                if hit is not None:
                    tally[what, hit] += 1


# The run.

Asked = tuple[str, tuple[int, ...], int, int, bool]


def run(asked: Asked) -> tuple[str, dict[int, Tally]]:
    """Draw the studies first … last - 1 of a kind, and judge each with every number of seeds."""
    name, counts, first, last, covers = asked
    kind, tallies = KINDS[name], {count: Tally() for count in counts}
    for index in range(first, last):
        started = time.perf_counter()
        drawn = draw(name, index, max(counts))
        made = (time.perf_counter() - started) / len(counts)
        for count, tally in tallies.items():
            started = time.perf_counter()
            evidence = drawn.evidence(count)
            tally.add(catalogue.judge_claims(evidence), kind.truths)
            tally.seconds["records"] += made
            tally.seconds["judging"] += time.perf_counter() - started
            if covers:
                started = time.perf_counter()
                coverage(drawn, evidence, tally.cover)
                tally.seconds["coverage"] += time.perf_counter() - started
    return name, tallies


CHUNK = 50
"""Studies that one process takes at a time."""
Row = dict[str, Any]


def calibrate(
    studies: int,
    seeds: Sequence[int] = SEEDS,
    kinds: Iterable[str] = tuple(KINDS),
    jobs: int = 1,
    *,
    covers: bool = True,
    done: Callable[[list[Row], str], None] = lambda rows, line: None,
) -> list[Row]:
    """One row per kind and number of seeds.

    Args:
        covers: count coverage too.
        done: takes all rows so far and a line about the latest, after each kind.
    """
    rows: list[Row] = []
    counts = tuple(sorted(seeds))
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        for name in kinds:
            asked = [
                (name, counts, first, min(first + CHUNK, studies), covers)
                for first in range(0, studies, CHUNK)
            ]
            total = {count: Tally() for count in counts}
            for _, found in pool.map(run, asked) if pool else map(run, asked):
                for count, tally in found.items():
                    total[count].merge(tally)
            rows += [row_of(name, count, tally) for count, tally in total.items()]
            shown = ", ".join(f"{tally.wrong}/{tally.studies} at {count}" for count, tally in total.items())
            spent = sum(sum(tally.seconds.values()) for tally in total.values())
            done(rows, f"{name}: any false verdict in {shown} seeds; {spent:.0f} s")
    return rows


def row_of(name: str, seeds: int, tally: Tally) -> Row:
    """A kind and number of seeds as JSON."""
    truths, claims = KINDS[name].truths, {}
    for id_ in dict.fromkeys(id_ for id_, _ in tally.verdicts):
        found = {what: count for (one, what), count in sorted(tally.verdicts.items()) if one == id_}
        unscored = UNSCORED.get(id_, "the table of truths has no row for it")
        claims[id_] = {
            "asked": sum(found.values()),
            "false supported": found.get(f"{WRONG} {SUPPORTED}", 0),
            "false refuted": found.get(f"{WRONG} {REFUTED}", 0),
            "true decided": sum(count for what, count in found.items() if what.startswith(RIGHT)),
            OPEN: found.get(OPEN, 0),
            "outcomes": found,
            "studies with a false one": tally.wrong_in[id_],
            "truth": truths[id_].why if id_ in truths else f"{NOT_SCORED}: {unscored}",
        }
    low, high = interval(tally.wrong, tally.studies)
    intervals = {}
    for what in dict.fromkeys(what for what, _ in tally.cover):
        hits, missed = tally.cover[what, True], tally.cover[what, False]
        intervals[what] = {"hits": hits, "of": hits + missed, "share": hits / (hits + missed)}
    return {
        "kind": name,
        "n_seeds": seeds,
        "studies": tally.studies,
        "false": tally.wrong,
        "share": tally.wrong / tally.studies,
        "interval": [low, high],
        "rejected": rejected(tally.wrong, tally.studies),
        "claims": claims,
        "coverage": intervals,
        "ms per study": {what: 1e3 * spent / tally.studies for what, spent in tally.seconds.items()},
    }


def tables(rows: Sequence[Row]) -> list[Table]:
    """Studies that err, by kind; what becomes of each claim, by kind; and coverage."""
    family = _table(
        "studies with any false verdict", "kind", "seeds", "share", "95 % interval", "of", "> 5 %"
    )
    claims = _table(
        "questions, by kind and claim",
        "kind",
        "seeds",
        "claim",
        "false +",
        "false -",
        "decided",
        "open",
        "of",
    )
    cover = _table("share of 95 % intervals that cover", "kind", "seeds", "of", "share", "n")
    for row in rows:
        kind, count = row["kind"], str(row["n_seeds"])
        low, high = row["interval"]
        beyond = "yes" if row["rejected"] else ""
        family.add_row(
            kind, count, f"{row['share']:.1%}", f"{low:.1%} – {high:.1%}", str(row["studies"]), beyond
        )
        for id_, one in row["claims"].items():
            wanted = ("false supported", "false refuted", "true decided", OPEN)
            if one["asked"] > one[OPEN]:
                shares = [f"{one[what] / one['asked']:.1%}" for what in wanted]
                claims.add_row(kind, count, id_, *shares, str(one["asked"]))
        for what, one in row["coverage"].items():
            cover.add_row(kind, count, what, f"{one['share']:.1%}", str(one["of"]))
    return [family, claims, cover]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def main() -> None:
    """Print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=200, help="per kind; each is judged once per --seeds")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="numbers of seeds")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--no-coverage", action="store_true", help="count verdicts alone")
    parser.add_argument("--out", type=Path, default=Path("verdicts.json"), help="file to write")
    given = parser.parse_args()
    console = Console(width=140)

    def done(rows: list[Row], line: str) -> None:
        # Written after every kind: a run that is stopped leaves what it has.
        given.out.write_text(json.dumps({"confidence": CONFIDENCE, "rows": rows}, indent=1) + "\n")
        console.print(line, style="dim", highlight=False)

    kinds = given.kinds or KINDS
    found = calibrate(given.studies, given.seeds, kinds, given.jobs, covers=not given.no_coverage, done=done)
    for table in tables(found):
        console.print(table)
    console.print(f"written: {given.out}", highlight=False)


if __name__ == "__main__":
    main()
