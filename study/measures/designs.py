"""The edge-seeking designs of a study: as many sets of them as it has looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from study.measures.edge_search import Search, searches, with_classes
from study.measures.landscape import Landscape
from study.plan.cells import Plan
from tracking import CellRecord


class Designs:
    """The designs over a study's first seeds, as far as its stored cells lead.

    Args:
        plan: the cells of all seeds.
        stored: records of cells that were trained, by key.
    """

    def __init__(self, plan: Plan, stored: Mapping[str, CellRecord]) -> None:
        self._plan, self._stored = plan, stored
        self._found: dict[int, list[Search]] = {}

    def over(self, seeds: int) -> list[Search]:
        """One design per landscape, over so many first seeds; none of a whole grid."""
        if self._plan.spec.design != "edges":
            return []
        if seeds not in self._found:
            first = set(self._plan.spec.seeds[:seeds])
            cells = tuple(cell for cell in self._plan.cells if cell.seed in first)
            self._found[seeds] = searches(replace(self._plan, cells=cells))
            for search in self._found[seeds]:
                search.tell(lambda keys: {key: self._stored[key] for key in keys if key in self._stored})
        return self._found[seeds]

    def furthest(self, seeds: Sequence[int]) -> list[Search]:
        """Of each landscape the design over the most seeds for which it is done.

        Args:
            seeds: numbers of first seeds, rising. Where a design is done for none, it is that over the first.
        """
        first, *later = seeds
        found = self.over(first)
        for number in later:
            more = self.over(number)
            found = [new if new.design.done else old for old, new in zip(found, more, strict=True)]
        return found

    def known(self, landscapes: Sequence[Landscape], seeds: int) -> list[Landscape]:
        """Landscapes with what the designs over so many first seeds conclude of them."""
        found = self.over(seeds)
        return list(map(with_classes, landscapes, found)) if found else list(landscapes)
