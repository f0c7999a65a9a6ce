"""A window of learning rates and weight decays of one transform, and the cells that a zoom into it trains."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from search_spaces import digest
from study.errors import UserError
from study.file_names import file_name
from study.plan.cells import Plan, Setting, make_plan, settings
from study.plan.transform_name import transform_named
from study.spec.method_choice import Choice
from study.spec.model import StudySpec
from study.spec.verdicts import Verdicts

LEAST, MOST = 16, 1024
"""Points along an axis: fewer show nothing, and more are a million networks."""
FIRST = 16
"""Points along an axis that the first round trains."""


@dataclass(frozen=True)
class Window:
    """What a zoom looks at. Both axes are logarithmic, with as many points.

    The points are at low * (high/low)^(k/points), k from 0 on. So the points of a coarse picture are among
    those of a finer one of the same window, to the last bit, and are not trained again for it.

    Attributes:
        lr, weight_decay: low and high end; the high end is where the next point would be.
        points: along each axis, a power of two.
    """

    setting: Setting
    transform: Choice
    lr: tuple[float, float]
    weight_decay: tuple[float, float]
    points: int
    seed: int

    @property
    def name(self) -> str:
        """What its files are called."""
        ends = [f"{value:.4g}" for value in (*self.lr, *self.weight_decay)]
        words = f"{self.transform.technical_name}-lr-{'-'.join(ends[:2])}-wd-{'-'.join(ends[2:])}"
        # Labels may be long, and numbers that differ late look the same. Another budget is another picture.
        budget = asdict(self.setting.condition.budget)
        meaning = [self.setting.full_name, budget, self.transform.identity(), *self.lr, *self.weight_decay]
        apart = digest(meaning)[:6]
        return f"{file_name(words)[:100]}-{self.points}-seed-{self.seed}-{apart}"

    @property
    def lr_values(self) -> tuple[float, ...]:
        return _axis(*self.lr, self.points)

    @property
    def weight_decay_values(self) -> tuple[float, ...]:
        return _axis(*self.weight_decay, self.points)


def _axis(low: float, high: float, points: int) -> tuple[float, ...]:
    # k/points is exact, because points is a power of two.
    return tuple(low * (high / low) ** (k / points) for k in range(points))


def window_of(
    spec: StudySpec,
    transform: str,
    lr: tuple[float, float],
    weight_decay: tuple[float, float],
    points: int,
    seed: int | None = None,
    setting: str | None = None,
) -> Window:
    """The window that a user asks for.

    Args:
        transform: any of its names.
        setting: its name, technical or by the spec's labels, or a part that one setting alone has. None
            takes the only one.
        seed: None takes the spec's first.

    Raises:
        UserError: it is none; the message says what was found and what is wanted.
    """
    _check_ends("--lr", lr)
    _check_ends("--weight-decay", weight_decay)
    if not LEAST <= points <= MOST or points & (points - 1):
        known = [str(1 << k) for k in range(LEAST.bit_length() - 1, MOST.bit_length())]
        raise UserError(f"--points {points}: wanted a power of two: {', '.join(known)}")
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"--seed {seed}: wanted a whole number from 0 on")
    found = Window(
        _setting(spec, setting),
        transform_named(spec, transform),
        lr,
        weight_decay,
        points,
        spec.seeds[0] if seed is None else seed,
    )
    for option, values in (("--lr", found.lr_values), ("--weight-decay", found.weight_decay_values)):
        if len(set(values)) < points:
            raise UserError(f"{option}: the ends are too near for {points} different numbers; widen it")
    return found


def _check_ends(option: str, ends: tuple[float, float]) -> None:
    low, high = ends
    said = f"{option} {low:g} {high:g}"
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"{said}: wanted two finite numbers")
    if low <= 0:
        raise UserError(f"{said}: the axis is logarithmic; wanted a low end above 0")
    if not math.isfinite(high / low):
        raise UserError(f"{said}: the ends are too far apart; wanted at most 308 decades between them")
    if low >= high:
        raise UserError(f"{said}: wanted the low end first, and a high end above it")


def _setting(spec: StudySpec, name: str | None) -> Setting:
    known = settings(spec)
    listed = "; ".join(one.full_title for one in known)
    if name is None:
        if len(known) > 1:
            raise UserError(f"{spec.name} has {len(known)} settings; give one with --setting: {listed}")
        return known[0]
    # A part of the name is enough where one setting alone has it.
    whole = [one for one in known if name in (one.full_name, one.full_title)]
    found = whole or [one for one in known if name and (name in one.full_name or name in one.full_title)]
    if len(found) != 1:
        why = "stands for several settings" if found else "unknown"
        raise UserError(f"--setting {name}: {why} in {spec.name}; it has: {listed}")
    return found[0]


def zoom_plan(spec: StudySpec, window: Window, fingerprints: Mapping[str, str]) -> Plan:
    """The cells of a window, rows of equal weight decay: cells of the study at other numbers.

    Their keys are those that the study's own cells would have.
    """
    setting = window.setting
    # Nothing is read from a file here, so nothing needs to be checked again.
    asked = spec.model_copy(
        update={
            "workload": (setting.workload,),
            "model": (setting.model,),
            "optimizer": (setting.optimizer,),
            "budget": setting.condition.budget,
            "conditions": (),
            "transforms": (window.transform,),
            "lr": window.lr_values,
            "weight_decay": window.weight_decay_values,
            "seeds": (window.seed,),
            "verdicts": Verdicts(),
            "design": "grid",
            "claims": (),
        }
    )
    return make_plan(asked, fingerprints)


def levels(plan: Plan, window: Window) -> Iterator[tuple[int, Plan]]:
    """The cells from coarse to fine: every stride-th point of both axes that no coarser round has.

    After each round the picture is whole at its stride.

    Yields:
        The stride and the cells of each round.
    """
    points = window.points
    first = stride = max(1, points // FIRST)
    while stride:
        coarser = 2 * stride
        cells = [
            plan.cells[row * points + column]
            for row in range(0, points, stride)
            for column in range(0, points, stride)
            if stride == first or row % coarser or column % coarser
        ]
        yield stride, dataclasses.replace(plan, cells=tuple(cells))
        stride //= 2
