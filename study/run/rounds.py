"""The rounds of a launch: which cells are trained together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from study.measures.edge_search import Known, searches
from study.plan.cells import Plan


@dataclass(frozen=True)
class Rounds:
    """What a launch trains, round after round. A grid is one round; an edge search and looks need several.

    Ask for the next round when the cells of the last one were tried. A cell that could not be trained ends
    its own search, and no other; with looks it ends all of them.

    Attributes:
        wanted: the cells that the next look at the verdicts needs and that are not stored.
        until_decided: go on after the first look that is reached.
    """

    plan: Plan
    known: Known
    wanted: Callable[[], Collection[str]] = tuple
    until_decided: bool = False

    def __iter__(self) -> Iterator[Plan]:
        if self.plan.spec.verdicts.looks:
            return self._looks()
        return {"grid": self._grid, "edges": self._edges}[self.plan.spec.design]()

    def _looks(self) -> Iterator[Plan]:
        tried: set[str] = set()
        while missing := set(self.wanted()):
            if missing & tried:
                return
            tried |= missing
            yield dataclasses.replace(
                self.plan, cells=tuple(cell for cell in self.plan.cells if cell.key in missing)
            )
            if not self.until_decided:
                return

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
