"""The numbers of every cell, as the page's script reads them: those of `cells.csv`, in six digits."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from study.measures.array_types import Floats
from study.measures.dynamics import curve
from study.measures.landscape import STATES, Landscape, column
from study.report.page.maps import Geometry
from study.report.page.views import View, step_SWL
from study.report.page.wording import number, place

CURVE_BYTES = 1_800_000
"""Of all curves of a page together, before they become text."""
FEWEST_POINTS = 4
"""Curves with fewer points than these show nothing."""
GAP = 65535
"""Stands for a missing number of a curve. The others are steps from the least number to the largest."""
RUN = 16
"""Bytes of the id of an MLflow run."""


def setting_values(
    name: str,
    landscapes: Sequence[Landscape],
    at: Geometry,
    views: Sequence[View],
    runs: Mapping[str, str],
    points: int,
) -> dict[str, Any]:
    """One setting: its axes, its views, and the cells of every transform.

    Args:
        runs: ids of MLflow's runs, by key of a cell. points: of a curve; 0 leaves curves out.
    """
    first = landscapes[0]
    return {
        "name": name,
        "metric": first.metric_name,
        "lr": [place(value) for value in first.lr],
        "wd": [place(value) for value in first.weight_decay],
        "exact": {"lr": list(first.lr), "wd": list(first.weight_decay)},
        "seeds": list(first.seeds),
        "columns": at.columns,
        "tops": list(at.top_W),
        "cell": [at.cell_width, at.cell_height],
        "views": [
            {
                "name": view.name,
                "title": view.title,
                "ticks": [[round(where, 4), number(value)] for where, value in view.scale.ticks],
                "letters": list(view.letters),
                "values": [digits(value_WL) for value_WL in view.value_WL],
            }
            for view in views
        ],
        "panels": [panel_values(one, runs, points) for one in landscapes],
    }


def panel_values(landscape: Landscape, runs: Mapping[str, str], points: int) -> dict[str, Any]:
    """One transform: what each of its cells recorded, seed by seed, then row by row."""
    found: dict[str, Any] = {
        "name": landscape.title,
        "outcome": "".join(map(str, landscape.outcome_SWL.ravel().tolist())),
        "loss": digits(landscape.loss_SWL),
        "metric": digits(landscape.metric_SWL),
    }
    if landscape.record_SWL is not None:
        records = list(landscape.record_SWL.ravel())
        # Those of diverged cells too, which no landscape has.
        found["metric"] = digits(column(records, "metric_final"))
        found["best"] = digits(column(records, "metric_best"))
        found["seconds"] = digits(column(records, "seconds"), 3)
        found["step"] = digits(step_SWL(landscape))
        reasons = [record.reason or "" if record is not None else "" for record in records]
        known = list(dict.fromkeys(reasons))
        found["reasons"], found["reason"] = known, [known.index(reason) for reason in reasons]
        if points:
            found["curves"] = curves(landscape, points)
    ids = [runs.get(key, "") for key in landscape.key_SWL.ravel().tolist()]
    if any(ids):
        found["runs"] = base64.b64encode(b"".join(map(packed, ids))).decode()
    return found


def digits(values: Floats, count: int = 6) -> list[float | None]:
    """Rounded numbers in one row; None where JSON can hold none."""
    return [float(f"{one:.{count}g}") if np.isfinite(one) else None for one in values.ravel().tolist()]


def packed(run: str) -> bytes:
    """The id of a run as bytes; zeros for what is none."""
    try:
        found = bytes.fromhex(run)
    except ValueError:
        found = b""
    return found if len(found) == RUN else bytes(RUN)


def points_of(landscapes: Sequence[Landscape]) -> int:
    """How many points of each curve the page has room for; 0 where so few would show nothing."""
    cells = sum(int(one.trained_SWL.size) for one in landscapes)
    recorded = max((len(curve_steps(one)) for one in landscapes), default=0)
    room = CURVE_BYTES // max(4 * cells, 1)
    return 0 if room < min(FEWEST_POINTS, recorded) else min(room, recorded)


def curve_steps(landscape: Landscape) -> Sequence[int]:
    """The steps at which curves were recorded."""
    records = [] if landscape.record_SWL is None else list(landscape.record_SWL.ravel())
    longest = max((one.curve for one in records if one is not None), key=len, default=())
    return [point[0] for point in longest]


def curves(landscape: Landscape, points: int) -> dict[str, Any]:
    """Loss and metric over steps of every cell, in whole steps between the least and the largest."""
    assert landscape.record_SWL is not None
    found: dict[str, Any] = {}
    for index, name in enumerate(("loss", "metric"), 1):
        steps, value_SWLK = curve(landscape.record_SWL, index)
        if not steps:
            continue
        kept = np.unique(np.linspace(0, len(steps) - 1, min(points, len(steps))).round().astype(int))
        found["steps"] = [steps[k] for k in kept]
        found[name] = quantised(value_SWLK[..., kept])
    return found


def quantised(values: Floats) -> dict[str, Any]:
    """Numbers as whole 16-bit ones, of their logarithms where they span many decades."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {}
    logarithmic = bool(known.min() > 0 and known.max() / known.min() > 100)
    shown = np.full(values.shape, np.nan)
    finite = np.isfinite(values)
    shown[finite] = np.log(values[finite]) if logarithmic else values[finite]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    width = (high - low) or 1.0
    whole = np.where(finite, np.round((np.where(finite, shown, low) - low) / width * (GAP - 1)), GAP)
    text = base64.b64encode(whole.astype("<u2").tobytes()).decode()
    return {"low": low, "width": width, "log": logarithmic, "numbers": text}


STATE_WORDS = list(STATES)
"""What the digits of `outcome` stand for."""
