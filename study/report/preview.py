"""What `study plan` prints; made without the libraries that the other tables need, which take seconds to load."""

from __future__ import annotations

from study.plan.cells import settings
from study.plan.preview import Preview
from study.report.durations import clock


def preview_lines(seen: Preview) -> list[str]:
    """What a launch would train, and about how long that takes."""
    spec, missing = seen.plan.spec, len(seen.plan.cells) - seen.stored
    grid = f"{len(spec.transforms)} transforms x {len(spec.lr)} learning rates x {len(spec.weight_decay)} weight decays x {len(spec.seeds)} seeds"
    many = len(settings(spec))
    basis = "from stored cells" if seen.measured else "from figures of a two-core machine"
    time = (
        "nothing to train"
        if not missing
        else f"about {clock(seen.seconds)} on {seen.workers} workers, {basis}"
        if seen.seconds is not None
        else "time unknown until a first tile is stored"
    )
    at_most = [
        "design edges: cells are asked for round by round until every edge is known; what follows is for all of them, and the most that there can be"
    ]
    return [
        f"{spec.name}: {grid}{f' x {many} settings' if many > 1 else ''} = {len(seen.plan.cells):,} cells",
        *(at_most if spec.design == "edges" else ()),
        f"stored: {seen.stored:,}; to train: {missing:,} cells in {seen.tiles} tiles, {spec.budget.steps} steps of {spec.budget.batch_size} examples each",
        time,
    ]
