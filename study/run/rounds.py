"""The rounds of a launch: which cells are trained together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from study.measures.edge_search import Known, searches
from study.plan.cells import Plan


@dataclass(frozen=True)
class Rounds:
    """What a launch trains, round after round. A grid is one round; an edge search needs several.

    Ask for the next round when the cells of the last one were tried. A cell that could not be trained ends
    its own search, and no other.
    """

    plan: Plan
    known: Known

    def __iter__(self) -> Iterator[Plan]:
        return {"grid": self._grid, "edges": self._edges}[self.plan.spec.design]()

    def _grid(self) -> Iterator[Plan]:
        yield self.plan

    def _edges(self) -> Iterator[Plan]:
        going = searches(self.plan)
        tried: set[str] = set()
        while True:
            for search in going:
                search.tell(self.known)
            going = [
                search
                for search in going
                if not search.design.done
                and not any(search.cells[point].key in tried for point in search.design.ask())
            ]
            if not going:
                return
            # A search asks again for cells that could not be trained, and would never end.
            tried |= {search.cells[point].key for search in going for point in search.design.ask()}
            yield dataclasses.replace(
                self.plan, cells=tuple(cell for search in going for cell in search.batch)
            )
