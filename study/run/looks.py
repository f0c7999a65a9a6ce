"""The looks of a launch: by which rules verdicts are given, and which cells the next look needs."""

from __future__ import annotations

from rich.console import Console

from study.analysis import Analysis
from study.claims.registration import Change, changed
from study.claims.sequence import DECIDED, OPEN
from study.errors import UserError
from study.plan.cells import Plan
from study.report.amounts import amount
from study.report.terminal.words import tell
from study.stored import analysed
from tracking import Ledger


class Looks:
    """What a launch knows of the looks at its study.

    Args:
        uri: of the tracker whose runs an analysis names.
    """

    def __init__(self, plan: Plan, ledger: Ledger, uri: str, console: Console) -> None:
        self._plan, self._ledger, self._uri, self._console = plan, ledger, uri, console

    def preregister(self) -> None:
        """Note by which rules verdicts will be given, and say so where they are not the first ones.

        Raises:
            UserError: verdicts were seen after more seeds than the last look has.
        """
        spec = self._plan.spec
        seen, cap = max(self._ledger.looks(spec.name), default=0), max(spec.verdicts.looks, default=0)
        if cap and seen > cap:
            raise UserError(
                f"{spec.name}: verdicts: looks end at {cap} seeds, and its verdicts were seen after {seen}; "
                f"name a last look of {seen} or more"
            )
        rules, known = spec.verdict_rules, self._ledger.verdict_rules(spec.name)
        if known and known[-1][0] == rules:
            return
        # Of other seeds than those whose verdicts were seen none may be complete yet.
        seeds = max(self._analysed().most_seeds, seen)
        self._ledger.note_verdict_rules(spec.name, rules, seeds)
        keys = changed(known[-1][0], rules) if known else {}
        if seeds and not known:
            after = amount(seeds, "seed")
            tell(
                self._console,
                f"the rules of its verdicts were named when {after} were complete; claims.md says so",
            )
        if seeds and keys:
            tell(
                self._console,
                f"the rules of its verdicts were changed when {amount(seeds, 'seed')} were complete: "
                f"{Change(seeds, keys).words}; claims.md says so",
            )

    def wanted(self) -> list[str]:
        """The cells that the next look needs, stored or not; how claims stand is said."""
        found = self._noted()
        if found.judgement.look is not None:
            tell(self._console, line(found))
        return found.next_keys

    def concluded(self) -> Analysis:
        """The analysis of what is stored, which its reader looks at."""
        return self._noted()

    def _noted(self) -> Analysis:
        """The same, after its look is noted. Named looks count too, should the spec name others later."""
        found = self._analysed()
        look = found.judgement.look
        if look is None or look.seeds in found.looks:
            return found
        self._ledger.note_look(self._plan.spec.name, look.seeds)
        return self._analysed()

    def _analysed(self) -> Analysis:
        return analysed(self._plan, self._ledger, self._uri)


def line(analysis: Analysis) -> str:
    """How claims stand after a look, and what comes next."""
    found = analysis.judgement
    standings = [claim.standing for claim in found.claims if claim.standing]
    counts = {name: standings.count(name) for name in dict.fromkeys([DECIDED, *standings])}
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    seeds = amount(found.look.seeds, "seed") if found.look else "no seed"
    if found.next is None or not counts.get(OPEN):
        return f"after {seeds} claims are: {said}"
    transforms = len({label for _, label in found.needed})
    return (
        f"after {seeds} claims are: {said}; the next look is at {found.next.seeds} seeds, "
        f"of {amount(transforms, 'transform')}"
    )
