"""Everything that is concluded from the stored cells of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from study import frames
from study.best import Best, reached
from study.claims.catalogue import questions_of
from study.claims.foresight import Outlook, outlook
from study.claims.looks import Schedule, schedule_of
from study.claims.registration import Registration
from study.claims.sequence import Judgement, judge_in_sequence, place
from study.claims.specification import Specified, decided, specify
from study.claims.user_claims import rules_of
from study.claims.verdicts import INCONCLUSIVE, Claim, answered
from study.errors import UserError
from study.measures.catalogue import Case, cases
from study.measures.designs import Designs
from study.measures.edge_search import Search, with_classes
from study.measures.evidence import Evidence, gather
from study.measures.importance import Importance, importances
from study.measures.landscape import INFERRED, STATES, Landscape, landscapes
from study.plan.cells import Plan, counted
from study.spec.claim_rule import Rule
from study.spec.tolerances import Tolerances
from tracking import CellRecord

if TYPE_CHECKING:
    from pandas import DataFrame


# Frozen and still cached: `cached_property` writes into the instance's `__dict__`, not through `__setattr__`.
@dataclass(frozen=True)
class Analysis:
    """Landscapes, regions, importances and claims of a study, each computed when first asked for.

    Attributes:
        plan: the cells that the spec asks for.
        stored: records of cells that were trained, by key.
        runs: ids of the MLflow runs that show the cells, by key, as far as the ledger knows them.
        looks: the numbers of seeds after which a launch showed the verdicts, in that order.
        verdict_rules: by which rules verdicts were to be given, in the order in which launches said so, each
            with the number of seeds that were complete of some transform.
        damaged: why records that are left out are damaged, by key.
    """

    plan: Plan
    stored: Mapping[str, CellRecord]
    runs: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    looks: tuple[int, ...] = ()
    verdict_rules: tuple[tuple[str, int], ...] = ()

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many cells finished, diverged, failed and are pending.

        With an edge-seeking design also how many are inferred.
        """
        found = counted(self.asked.keys, {key: record.outcome for key, record in self.stored.items()})
        if not self.searches:
            return found
        # Only the landscapes know which cells a design infers from the trained ones.
        totals = dict.fromkeys(STATES, 0)
        for landscape in self.landscapes:
            for number, name in enumerate(STATES):
                totals[name] += int((landscape.outcome_SWL == number).sum())
        # Of looks that are still to come, a design asks for a batch at a time.
        return found | {STATES[INFERRED]: totals[STATES[INFERRED]]} if self.schedule.planned else totals

    @cached_property
    def asked(self) -> Plan:
        """The plan without the cells of looks that are still to come, which are not pending."""
        if not self.schedule.planned:
            return self.plan
        asked = {*self.stored, *(self.next_batch if self.begun else ())}
        return replace(self.plan, cells=tuple(cell for cell in self.plan.cells if cell.key in asked))

    @cached_property
    def designs(self) -> Designs:
        """The edge-seeking designs, look by look; empty of a whole grid."""
        return Designs(self.plan, self.stored)

    @cached_property
    def searches(self) -> list[Search]:
        """The edge-seeking design of every landscape, over the seeds of the last look for which it is done.

        Where it is done for none, over those of the first one. None with a whole grid.
        """
        planned = [look.seeds for look in self.schedule.looks] if self.schedule.planned else []
        return self.designs.furthest(planned or [len(self.plan.spec.seeds)])

    @property
    def complete(self) -> bool:
        """Whether no cell failed or is pending."""
        return self.counts["failed"] == self.counts["pending"] == 0

    @cached_property
    def landscapes(self) -> list[Landscape]:
        """One landscape per setting and transform."""
        return list(map(with_classes, self._trained, self.searches)) if self.searches else self._trained

    @cached_property
    def _trained(self) -> list[Landscape]:
        """The landscapes without what designs conclude."""
        return landscapes(self.plan, self.stored)

    @cached_property
    def pictured(self) -> list[Landscape]:
        """The landscapes as pictures show them, pending cells too: at the seeds that all transforms share.

        Of later looks some have more seeds than others.
        """
        if not self.schedule.planned:
            return self.landscapes
        count = max(self.schedule.looks[0].seeds, self.seeds_seen)
        return [one.at_seeds(np.arange(len(one.seeds)) < count) for one in self.landscapes]

    @cached_property
    def evidence(self) -> list[Evidence]:
        """The landscapes of each setting, paired by seed."""
        spec = self.plan.spec
        return gather(self.landscapes, spec.region, spec.verdicts.indifference)

    @property
    def schedule(self) -> Schedule:
        """The looks of the study: those that the spec names, or those that were taken."""
        spec = self.plan.spec
        # With fewer seeds than a verdict needs there was nothing to see.
        noted = [seeds for seeds in self.looks if seeds >= spec.region.least_seeds]
        return schedule_of(spec.verdicts.looks, noted, len(spec.seeds))

    @property
    def registration(self) -> Registration:
        """What was said of the verdicts before they were seen."""
        spec = self.plan.spec
        return Registration(self.verdict_rules, spec.verdict_rules, spec.region.least_seeds)

    @property
    def confidence(self) -> float:
        """Of all verdicts together, under all rules by which they may have been seen."""
        return self.registration.together(self.plan.spec.region.confidence)

    @cached_property
    def judgement(self) -> Judgement:
        """The claims after every look that the cells reach."""
        spec = self.plan.spec
        return judge_in_sequence(
            self._trained,
            self.schedule,
            spec.region,
            spec.verdicts.indifference,
            self.rules,
            partial(self.designs.known, self._trained),
        )

    def judged_under(self, tolerances: Tolerances) -> list[Claim]:
        """The same claims under other thresholds: each at its own look, on its cells and at its level."""
        found, indifference = self.judgement, self.plan.spec.verdicts.indifference
        if found.look is None:
            return list(found.claims)
        cells = [one.with_departed(tolerances.departed) for one in self.landscapes]
        again: dict[tuple[str, str], Claim] = {}
        for look in self.schedule.looks:
            wanted = {(one.id, one.setting) for one in found.claims if one.n_seeds == look.seeds}
            if not wanted or look.seeds not in found.seen:
                continue
            seen = set(found.seen[look.seeds])
            pieces = gather(
                [one for one in cells if place(one) in seen], tolerances, indifference, look.seeds
            )
            # Another confidence of the spec's is no variation, so the level is what it was.
            level = found.levels[look.seeds]
            for question in questions_of(pieces, self.rules, wanted):
                again[question.id, question.setting] = answered(question, level, tolerances.least_seeds)
        return [again.get((one.id, one.setting), one) for one in found.claims]

    @property
    def seeds_seen(self) -> int:
        """How many seeds are complete everywhere."""
        return min((piece.n_seeds for piece in self.evidence), default=0)

    @property
    def most_seeds(self) -> int:
        """How many seeds are complete of the transform that has most of them."""
        return max((int(one.complete_S.sum()) for one in self.landscapes), default=0)

    @property
    def next_keys(self) -> list[str]:
        """The cells that the next look needs, of all seeds up to it; empty where there is none.

        An edge-seeking design chooses among them.
        """
        found = self.judgement
        if found.next is None:
            return []
        places = set(found.needed)
        return [
            key
            for one in self.landscapes
            if (one.setting, one.transform) in places
            for key in one.key_SWL[: found.next.seeds].ravel().tolist()
        ]

    @property
    def next_batch(self) -> list[str]:
        """The cells to train next for that look: all, or what an edge-seeking design asks for."""
        found = self.judgement
        if found.next is None or self.plan.spec.design == "grid":
            return self.next_keys
        places = set(found.needed)
        designs = zip(self._trained, self.designs.over(found.next.seeds), strict=True)
        return [key for one, search in designs if place(one) in places for key in search.asked]

    @property
    def begun(self) -> bool:
        """Whether a cell of the next look's own seeds is stored, or no look is reached yet."""
        found = self.judgement
        if found.look is None or found.next is None:
            return True
        own = slice(found.look.seeds, found.next.seeds)
        return any(not self.stored.keys().isdisjoint(one.key_SWL[own].ravel()) for one in self.landscapes)

    @cached_property
    def cells(self) -> DataFrame:
        """One row per cell, as in `cells.csv`."""
        return frames.cells(self.asked, self.stored)

    @cached_property
    def regions(self) -> DataFrame:
        """One row per setting, transform, kind and reference, with sizes and their intervals."""
        return frames.regions(self.evidence)

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """The user's own claims, by name. Their modules run, if the user gave the spec as a file.

        Raises:
            UserError: one of them cannot be loaded.
        """
        spec = self.plan.spec
        # Of one that does not run nobody knows the method. Of that with most variants it is asked most often,
        # so that the other verdicts are at most as bold as where it is judged.
        [(method, _)] = Counter(one.method for one in self.landscapes).most_common(1)
        try:
            return rules_of(spec.claims, spec.code, method)
        except ValueError as error:
            raise UserError(f"{spec.name}: claims: {error}") from None

    @cached_property
    def judged(self) -> list[Claim]:
        """The claims ledger under the spec's own thresholds, without a word about others."""
        found = []
        for claim in self.judgement.claims:
            runs = tuple(self.runs[key] for key in claim.cells if key in self.runs)
            found.append(replace(claim, runs=runs))
        return found

    @cached_property
    def outlooks(self) -> dict[tuple[str, str], Outlook]:
        """What each undecided claim would take, by id and setting."""
        found = {}
        for claim in self.judgement.claims:
            key = claim.id, claim.setting
            if claim.verdict == INCONCLUSIVE:
                expected = outlook(self.judgement.questions[key], self.judgement.level)
                if expected is not None:
                    found[key] = expected
        return found

    @cached_property
    def specification(self) -> list[Specified]:
        """Every claim, in the ledger's order, with its verdicts under other thresholds."""
        return specify(self.judged, self.plan.spec, self.judged_under)

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims ledger, the user's own rules included, with the MLflow runs behind each verdict.

        A verdict that other thresholds change says so in its reason.
        """
        # Other thresholds take several analyses. Where nothing is decided there is nothing to doubt.
        if not any(map(decided, self.judged)):
            return self.judged
        found = []
        for one in self.specification:
            reason = f"{one.claim.reason} {one.warning}" if one.warning else one.claim.reason
            found.append(replace(one.claim, reason=reason))
        return found

    @cached_property
    def importances(self) -> list[tuple[Evidence, Importance]]:
        """What matters for each transform's score, and for its difference to the baseline's."""
        found = []
        confidence = self.plan.spec.region.confidence
        for piece in self.evidence:
            base = next(iter(piece.of("none")), None)
            for landscape in piece.landscapes.values():
                found += [(piece, one) for one in importances(landscape, base, confidence=confidence)]
        return found

    @cached_property
    def cases(self) -> list[Case]:
        """What the table of measures is computed from: one case per setting and transform."""
        return cases(self.evidence, self.stored)

    @cached_property
    def reached(self) -> tuple[Best, ...]:
        """Widths, best cell and score of every transform in every setting."""
        return tuple(reached(self.cases))

    @cached_property
    def best(self) -> DataFrame:
        """The same as a table, one row per setting and transform."""
        return frames.best(self.reached, self.plan.spec.region.confidence)
