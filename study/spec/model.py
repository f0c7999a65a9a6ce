"""What a study is: a validated YAML file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count, islice
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    field_serializer,
    model_validator,
)

from study.spec.claim_rule import CLAIMS
from study.spec.command_template import check_placeholders
from study.spec.conditions import Axes, Condition, conditions, read_axes
from study.spec.fields import read_axis, read_seeds, rising, section_of
from study.spec.method_choice import Choice
from study.spec.methods import choices_of
from study.spec.names import KINDS
from study.spec.own_training import own_training_of, warnings, with_own_parts
from study.spec.problem import FieldError, problems_at, wrong
from study.spec.strict_json import strict_json
from study.spec.tolerances import Tolerances
from study.spec.user_modules import OwnCode
from study.spec.verdicts import Verdicts
from study.spec.workers import Workers
from trainers.budget import Budget

MOST_STEPS, MOST_CELLS = 10_000_000, 2_000_000
"""More than this is a slip of the keyboard, and would fill the memory before it failed."""

MOST_SEED = 2**63
"""Seeds are below it, as databases count."""
OWN_CODE = "own_code"
"""Beside the keys of a spec, in a text that a ledger remembers."""

LearningRate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
WeightDecay = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]

Design = Literal["grid", "edges"]
"""Which cells are trained: all, or those that lead to the edges of every transform's regions."""
EdgeKind = Literal["trained", "competitive"]
"""Kinds of regions whose edges a design may lead to, the widest first."""
EDGES_OF: tuple[EdgeKind, ...] = ("competitive",)


def _short_enough(budget: Budget) -> Budget:
    if budget.steps > MOST_STEPS:
        raise wrong(f"found {budget.steps:,}; wanted at most {MOST_STEPS:,}", "steps")
    return budget


def in_a_list(value: Any) -> Any:
    """One kind of region may be given without a list."""
    return [value] if isinstance(value, str) else value


def widest_first(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds in their order, each once."""
    return tuple(kind for kind in get_args(EdgeKind) if kind in kinds)


class StudySpec(BaseModel):
    """A study: which cells are trained, how, and how they are judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    description: str = ""
    workload: Annotated[tuple[Choice, ...], choices_of("workload")]
    model: Annotated[tuple[Choice, ...], choices_of("model")]
    optimizer: Annotated[tuple[Choice, ...], choices_of("optimizer")]
    transforms: Annotated[tuple[Choice, ...], choices_of("transform")]
    lr: Annotated[tuple[LearningRate, ...], BeforeValidator(read_axis), AfterValidator(rising)]
    weight_decay: Annotated[tuple[WeightDecay, ...], BeforeValidator(read_axis), AfterValidator(rising)]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=MOST_SEED, strict=True)], ...], BeforeValidator(read_seeds)
    ]
    budget: Annotated[Budget, section_of(Budget), AfterValidator(_short_enough)]
    conditions: Annotated[Axes, PlainValidator(read_axes)] = ()
    claims: Annotated[tuple[str, ...], CLAIMS] = ()
    region: Annotated[Tolerances, section_of(Tolerances)] = Tolerances()
    verdicts: Annotated[Verdicts, section_of(Verdicts)] = Verdicts()
    workers: Annotated[Workers, section_of(Workers)] = Workers()
    design: Design = "grid"
    edges_of: Annotated[
        tuple[EdgeKind, ...], Field(min_length=1), BeforeValidator(in_a_list), AfterValidator(widest_first)
    ] = EDGES_OF
    _code: OwnCode = PrivateAttr(default_factory=OwnCode)

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            # Pydantic would ask for a dictionary or an instance of StudySpec.
            raise wrong(f"a spec is a mapping of keys to values; known keys: {', '.join(cls.model_fields)}")
        return with_own_parts(value)

    @model_validator(mode="after")
    def _edges_are_sought(self) -> StudySpec:
        if self.design == "grid" and self.edges_of != EDGES_OF:
            raise wrong(f"found {', '.join(self.edges_of)}; wanted design: edges beside it", "edges_of")
        return self

    @model_validator(mode="after")
    def _up_to_the_cap(self) -> StudySpec:
        """With looks, `seeds` are those of the first one, and further ones count on up to the last."""
        looks = self.verdicts.looks
        if not looks:
            return self
        given = len(self.seeds)
        if given not in (looks[0], looks[-1]):
            raise wrong(f"found {given}; wanted {looks[0]}, as many as the first of verdicts: looks", "seeds")
        if self.design == "edges" and "trained" not in self.edges_of and not self.claims:
            why = "wanted trained among them where verdicts has looks, since no other claim rests on edges"
            raise wrong(f"found {', '.join(self.edges_of)}; {why}", "edges_of")
        if looks[0] < self.region.least_seeds:
            least = self.region.least_seeds
            raise wrong(f"found {looks[0]}; wanted at least {least} (region: least_seeds)", "verdicts")
        if max(self.seeds) + looks[-1] - given >= MOST_SEED:
            raise wrong(
                f"found {max(self.seeds)}; wanted seeds after which {looks[-1] - given} more fit", "seeds"
            )
        further = count(max(self.seeds) + 1)
        # Frozen: nobody has seen the model yet.
        self.__dict__["seeds"] = (*self.seeds, *islice(further, looks[-1] - given))
        return self

    @model_validator(mode="after")
    def _placeholders_known(self) -> StudySpec:
        constants = [name for one in self.transforms for name, _ in one.constants]
        for one in self.workload:
            if one.form == "command":
                try:
                    check_placeholders(own_training_of(one).command, constants)
                except FieldError as error:
                    raise FieldError(problems_at(("workload",), error)) from None
        return self

    @model_validator(mode="after")
    def _small_enough(self) -> StudySpec:
        if self.size > MOST_CELLS:
            do = "thin out an axis, or make several studies"
            text = f"the spec has {self.size:,} cells; wanted at most {MOST_CELLS:,}: {do}"
            raise wrong(text, shows_value=True)
        # Whether a varied value is in range is for the budget to say, so every budget is made once.
        try:
            for condition in self.all_conditions:
                _short_enough(condition.budget)
        except ValueError as error:
            raise FieldError(problems_at(("conditions",), error)) from None
        return self

    @property
    def code(self) -> OwnCode:
        """Where the code of the user's own that the spec names lies, and whether it may run."""
        return self._code

    def named_by(self, code: OwnCode) -> StudySpec:
        """The same spec, with the place that its text came from."""
        found = self.model_copy()
        found._code = code
        return found

    @property
    def own_code(self) -> dict[str, str]:
        """The hash of the source of each method of the user's own, by name."""
        return {method.name: method.source for method in self.methods if method.source}

    @property
    def warnings(self) -> list[str]:
        """What a reader of the plan should know of training of the user's own."""
        axes = {key: len(values) for key, values in self.conditions}
        axes |= {
            "lr": len(self.lr),
            "weight_decay": len(self.weight_decay),
            "seed": len(self.seeds),
            "transform": len(self.transforms),
        }
        budgets = [one.budget for one in self.all_conditions]
        return [line for one in self.workload if one.form for line in warnings(axes, budgets, one)]

    @property
    def all_conditions(self) -> tuple[Condition, ...]:
        """The budget under every combination of what is varied; the budget alone where nothing is."""
        return conditions(self.budget, self.conditions)

    @property
    def verdict_rules(self) -> str:
        """By which rules verdicts are given, as JSON.

        They are looks, indifference, thresholds and own claims, and what is compared on which sample, by
        methods, axes and seeds.
        """
        said: dict[str, Any] = {
            "verdicts": asdict(self.verdicts),
            "region": asdict(self.region),
            "claims": self.claims,
        }
        said |= {kind.key: [one.technical_name for one in getattr(self, kind.key)] for kind in KINDS.values()}
        said |= {key: list(getattr(self, key)) for key in ("lr", "weight_decay", "seeds")}
        said["conditions"] = {key: list(values) for key, values in self.conditions}
        if self.design == "edges":
            said |= {"design": self.design, "edges_of": list(self.edges_of)}
        return strict_json(said, sort_keys=True)

    @property
    def first_seeds(self) -> tuple[int, ...]:
        """The seeds of the first look; all where no looks are named."""
        return self.seeds[: self.verdicts.looks[0]] if self.verdicts.looks else self.seeds

    @property
    def first_size(self) -> int:
        """How many cells the first look needs."""
        return self.size // len(self.seeds) * len(self.first_seeds)

    @property
    def size(self) -> int:
        """Number of cells."""
        methods = [self.workload, self.model, self.optimizer, self.transforms]
        numbers = [self.lr, self.weight_decay, self.seeds, *(values for _, values in self.conditions)]
        return math.prod(map(len, methods)) * math.prod(map(len, numbers))

    @field_serializer("conditions")
    def _as_mapping(self, axes: Axes) -> dict[str, list[Any]]:
        return {key: list(values) for key, values in axes}

    @property
    def methods(self) -> tuple[Choice, ...]:
        """Every method of the spec, of all kinds."""
        return (*self.workload, *self.model, *self.optimizer, *self.transforms)

    def canonical(self) -> str:
        """The spec as JSON with every default written out; `parse_spec` reads it."""
        content = self.model_dump(mode="json")
        for kind in KINDS.values():
            content[kind.key] = [choice.written for choice in getattr(self, kind.key)]
        return strict_json(content, sort_keys=True)

    def remembered(self) -> str:
        """The canonical form and the hashes of the user's own code, for a ledger; `parse_stored` reads it."""
        # Only where there is some: the text of any other study is what it always was.
        more = {OWN_CODE: self.own_code} if self.own_code else {}
        return strict_json(json.loads(self.canonical()) | more, sort_keys=True)
