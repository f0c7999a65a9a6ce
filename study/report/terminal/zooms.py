"""What a zoom prints when it ends."""

from __future__ import annotations

from study.measures.edge_dimension import Dimension
from study.measures.estimate import Missing
from study.report.amounts import amount
from study.report.durations import clock
from study.report.terminal.pasted import FILE_MEANS, IN_FILE, same_again
from study.zoom_result import ZoomResult

MOST_REASONS = 3


def zoom_lines(found: ZoomResult) -> list[str]:
    """What was trained, the dimension of the edge, and where the files are."""
    counts = ", ".join(f"{count:,} {name}" for name, count in found.map.counts.items() if count)
    lines = [f"{amount(found.trained, 'cell')} trained, in {clock(found.seconds)} with everything; {counts}"]
    lines += [f"failed tile: {reason}" for reason in found.failures[:MOST_REASONS]]
    if not found.complete:
        again = same_again()
        why = "stopped; what finished is kept" if found.interrupted else "some cells are missing"
        lines += [f"picture so far: {path}" for path in found.files]
        lines.append(f"{why}. Go on with: {again}")
        return [*lines, FILE_MEANS] if IN_FILE in again else lines
    lines += [
        f"box-counting dimension of the edge: {worded(found.boxes, 'boxes of {} to {} cells')}",
        f"dimension by pairs of cells: {worded(found.pairs, 'pairs {} to {} cells apart')}",
    ]
    if found.trouble:
        lines.append(f"MLflow was not written ({found.trouble}); give the same command again to send it")
    return [*lines, *(f"written: {path}" for path in found.files)]


def worded(found: Dimension | Missing, sizes: str) -> str:
    """`1.24 [1.15, 1.33] with 95 %, boxes of 4 to 32 cells, n = 512`, or why there is none."""
    if isinstance(found, Missing):
        return found.reason
    return (
        f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}] with {found.confidence:.0%}, "
        f"{sizes.format(found.sizes[0], found.sizes[-1])}, n = {found.n:,}"
    )
