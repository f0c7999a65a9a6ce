"""The rounds of a launch: which cells are trained together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from study.measures.edge_search import Known, Search, searches
from study.plan.cells import Plan


@dataclass(frozen=True)
class Rounds:
    """What a launch trains, round after round. A grid is one round; an edge search and looks need several.

    Ask for the next round when the cells of the last one were tried. A cell that could not be trained ends
    its own search, and no other; with looks it ends all of them.

    Attributes:
        wanted: the cells that the next look at the verdicts needs, stored or not. An edge search chooses
            among them.
        until_decided: go on after the first look that is reached.
    """

    plan: Plan
    known: Known
    wanted: Callable[[], Collection[str]] = tuple
    until_decided: bool = False

    def __iter__(self) -> Iterator[Plan]:
        if self.plan.spec.verdicts.looks:
            return self._looks()
        return self._designed(self.plan)

    def _looks(self) -> Iterator[Plan]:
        tried: set[str] = set()
        # A look that still needs what was tried waits for cells that could not be trained.
        while (wanted := set(self.wanted())) - tried:
            tried |= wanted
            cells = tuple(cell for cell in self.plan.cells if cell.key in wanted)
            yield from self._designed(dataclasses.replace(self.plan, cells=cells))
            if not self.until_decided:
                return

    def _designed(self, plan: Plan) -> Iterator[Plan]:
        return {"grid": self._grid, "edges": self._edges}[plan.spec.design](plan)

    @staticmethod
    def _grid(plan: Plan) -> Iterator[Plan]:
        yield plan

    def _edges(self, plan: Plan) -> Iterator[Plan]:
        going: list[Search] = searches(plan)
        tried: set[str] = set()
        while True:
            for search in going:
                search.tell(self.known)
            going = [search for search in going if not search.design.done and tried.isdisjoint(search.asked)]
            if not going:
                return
            # A search asks again for cells that could not be trained, and would never end.
            tried |= {key for search in going for key in search.asked}
            yield dataclasses.replace(plan, cells=tuple(cell for search in going for cell in search.batch))
