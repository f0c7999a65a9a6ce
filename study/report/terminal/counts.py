"""What `study plan` and `study status` print. They answer at once, so nothing here loads numpy."""

from __future__ import annotations

from study.plan.cells import settings
from study.plan.preview import Preview
from study.report.amounts import amount, lengths, size
from study.report.durations import clock
from study.spec.model import StudySpec
from study.stored import Status

MOST_REASONS = 3
"""Failed cells whose reasons are printed. Cells of one tile fail together, for one reason."""


def preview_lines(seen: Preview) -> list[str]:
    """What a launch would train, and about how long that takes."""
    spec, cells = seen.plan.spec, len(seen.plan.cells)
    grid = (
        f"{amount(len(spec.transforms), 'transform')} x {amount(len(spec.lr), 'learning rate')} x "
        f"{amount(len(spec.weight_decay), 'weight decay')} x {amount(len(spec.seeds), 'seed')}"
    )
    many = len(settings(spec))
    if many > 1:
        grid += f" x {amount(many, 'setting')}"
    lines = [f"{spec.name}: {grid} = {amount(cells, 'cell')}"]
    if spec.design == "edges":
        lines.append(
            "design edges: cells are chosen round by round until every edge is known; "
            "the numbers below are for all of them, the most that there can be"
        )
    steps = f"{lengths(spec)} of {amount(spec.budget.batch_size, 'example')} each"
    missing = seen.missing
    few = "" if seen.tiles_known else "at least "
    tiles = amount(seen.tiles, "tile")
    lines.append(f"stored: {seen.stored:,}; to train: {amount(missing, 'cell')} in {few}{tiles}, {steps}")
    if not seen.tiles_known:
        lines.append("(how many cells a tile holds is measured when they are launched on this machine)")
    if seen.not_asked:
        lines.append(not_asked_line(seen.not_asked))
    lines.append(expected_time(seen, missing))
    if spec.verdicts.looks:
        lines.append(looks_line(seen))
    return [*lines, *disk_lines(spec, seen.most_bytes, seen.free_bytes), *spec.warnings]


def disk_lines(spec: StudySpec, needed: int, free: int) -> list[str]:
    """That the disk does not hold all cells, and what to do; nothing where it does.

    Args:
        needed: about what the missing cells take. free: what there is [B].
    """
    if needed <= free:
        return []
    do = "a smaller last look" if spec.verdicts.looks else "fewer seeds or points"
    return [
        f"the missing cells take about {size(needed)} of disk, and {size(free)} are free; "
        f"choose {do}, or a home on a larger disk"
    ]


def looks_line(seen: Preview) -> str:
    """At which looks verdicts are given, and what all of them would take."""
    *before, last = seen.plan.spec.verdicts.looks
    named = f"{', '.join(map(str, before))} and {last}" if before else str(last)
    if not seen.missing:
        return f"looks at the claims after {named} seeds: no cell is missing for the next one"
    time = "" if seen.most_seconds is None else f", about {clock(seen.most_seconds)}"
    return (
        f"looks at the claims after {named} seeds: the cells above are those of the next look; "
        f"with --until-decided at most {amount(seen.most, 'cell')}{time} and {size(seen.most_bytes)} of disk"
    )


def not_asked_line(cells: int) -> str:
    """What is said of stored cells that a spec does not ask for."""
    if cells == 1:
        return (
            "1 more stored cell of the same settings is not asked for by this spec; it stays stored, "
            "and counts for nothing here"
        )
    return (
        f"{cells:,} more stored cells of the same settings are not asked for by this spec; they stay stored, "
        "and count for nothing here"
    )


def expected_time(seen: Preview, missing: int) -> str:
    """About how long the missing cells take, and how that is known."""
    if not missing:
        return "nothing to train"
    if seen.seconds is None:
        return "time unknown until a first tile is stored"
    basis = "from stored cells" if seen.measured else "from figures of a two-core machine"
    return f"about {clock(seen.seconds)} on {amount(seen.workers, 'worker')}, {basis}"


def status_lines(found: Status) -> list[str]:
    """How many cells of a study ended how, and why the first of them failed."""
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    reasons = list(found.reasons.items())[:MOST_REASONS]
    more = [not_asked_line(found.not_asked)] if found.not_asked else []
    return [f"{found.study}: {counts}", *(f"  {key}: {reason}" for key, reason in reasons), *more]
