"""What a study is: a validated YAML file."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections import Counter
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, field_serializer, model_validator

from search_spaces import LogAxis
from study.choices import Choice, choices_of, mark
from study.conditions import Axes, Condition, conditions, read_axes
from study.explain import explain
from study.rules import CLAIMS
from study.yaml import MOST_BYTES, load_yaml
from trainers.budget import Budget
from trainers.naming import check_range, nearest, short

MOST_SEEDS, MOST_STEPS, MOST_CELLS = 1_000, 10_000_000, 2_000_000
"""More than this is a slip of the keyboard, and would fill the memory before it failed."""
SPECS = files("study") / "specs"


KINDS = {"workload": "workload", "model": "model", "optimizer": "optimizer", "transform": "transforms"}
"""Each kind of method, and the key of a spec that lists them."""


class SpecError(ValueError):
    """The user's spec is wrong; the message has one line per error."""


class PoolError(RuntimeError):
    """The workers that a spec asks for cannot be had, or gave out; what finished is stored, and the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Tolerances:
    """What counts as stable (fractions of the way from the untrained score to the reference score), and when a verdict is reached.

    Args:
        trained: least way that a trained cell has gone.
        competitive: largest way that a competitive cell may lack.
        share: share of the seeds that must have the property for a cell to be in a region, in (0, 1].
        confidence: of every interval, in (0.5, 1).
        equivalence: half-width of the band inside of which two sensitivities count as equal [fraction of the initial loss].
        least_seeds: fewer seeds than this give no verdict.
    """

    trained: float = 0.10
    competitive: float = 0.05
    share: float = 1.0
    confidence: float = 0.95
    equivalence: float = 0.05
    least_seeds: int = 3

    def __post_init__(self) -> None:
        check_range("region", 0.0, 1.0, trained=self.trained, competitive=self.competitive, equivalence=self.equivalence)
        check_range("region", 0.0, 1.0, open_low=True, share=self.share)
        check_range("region", 0.5, 1.0, open_low=True, open_high=True, confidence=self.confidence)
        check_range("region", 2, least_seeds=self.least_seeds)


@dataclasses.dataclass(frozen=True)
class Workers:
    """How tiles are sent out; does not change any number.

    Args:
        cpus_per_worker: processors, and threads, of one worker, >= 1.
        gpus_per_worker: share of a GPU, >= 0; None takes one each if the cluster has any.
        tile: most cells trained together, >= 1; None measures what is fastest, once per setting and machine.
        retries: how often a tile is tried again after its worker was lost, >= 0.
        checkpoint_every: a lost worker costs at most so many seconds of a tile, > 0 [s].
    """

    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None
    tile: int | None = None
    retries: int = 2
    checkpoint_every: float = 60.0

    def __post_init__(self) -> None:
        check_range("workers", 1, cpus_per_worker=self.cpus_per_worker, tile=1 if self.tile is None else self.tile)
        check_range("workers", 0, open_high=True, retries=self.retries, gpus_per_worker=self.gpus_per_worker or 0.0)
        check_range("workers", 0.0, open_low=True, checkpoint_every=self.checkpoint_every)


def _axis(value: Any) -> Any:
    if isinstance(value, Mapping):
        keys = [field.name for field in dataclasses.fields(LogAxis)]
        unknown = [key for key in value if key not in keys]
        if unknown:
            raise ValueError(f"unknown key {short(unknown[0])}; a log axis has {', '.join(keys)}{nearest(str(unknown[0]), keys)}")
        missing = [key for key in keys if key not in value]
        if missing:
            raise ValueError(f"{missing[0]!r} is missing; a log axis has {', '.join(keys)}")
        low, high, density = (value[key] for key in keys)
        if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in (low, high)) or not isinstance(density, int) or isinstance(density, bool):
            raise ValueError("low and high must be numbers, points_per_decade a whole number")
        try:
            return LogAxis(float(low), float(high), density).values
        except OverflowError:
            raise ValueError("low or high is too large for a number") from None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError("wanted a list of numbers, or low, high and points_per_decade")
    if not value:
        raise ValueError("the axis is empty; give at least one number")
    return value


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    twice = sorted(value for value, times in Counter(values).items() if times > 1)
    if twice:
        raise ValueError(f"{twice[0]:g} stands twice; each value may stand once")
    return tuple(sorted(values))


def _seeds(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_SEEDS:
            raise ValueError(f"wanted at least one seed and at most {MOST_SEEDS}")
        return tuple(range(value))
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("wanted at least one seed")
        if len(set(map(str, value))) < len(value):
            raise ValueError("a seed stands twice; seeds must differ")
        return value
    raise ValueError("wanted how many seeds, or a list of seeds")


NUMBERS = {int: "a whole number", float: "a number"}


def _settings(kind: type[Any]) -> BeforeValidator:
    keys = [field.name for field in dataclasses.fields(kind)]
    hints = {key: (hint, *typing.get_args(hint)) for key, hint in typing.get_type_hints(kind).items()}

    def check(value: Any) -> Any:
        problems = []
        for key, found in value.items() if isinstance(value, Mapping) else ():
            if key not in keys:
                problems.append(f"unknown key {short(key)}; known: {', '.join(keys)}{nearest(str(key), keys)}")
                continue
            wanted = next((words for number, words in NUMBERS.items() if number in hints[key]), None)
            problems += [f".{key}: found {short(one)}; wanted {wanted}" for one in (found if isinstance(found, list) else [found]) if wanted and not _may_be_number(one)]
        if problems:
            raise ValueError("\n".join(problems))
        return value

    return BeforeValidator(check)


def _may_be_number(value: Any) -> bool:
    """Whether the reader that follows may see it: true would become 1, "4" would become 4, and 10^400 overflows."""
    return not isinstance(value, (bool, str)) and not (isinstance(value, int) and abs(value) >= 2**63)


LearningRate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
WeightDecay = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


Design = Literal["grid", "edges"]
"""Which cells are trained: all of them, or those that lead to the edges of every transform's competitive region."""


class StudySpec(BaseModel):
    """A study: which cells are trained, how, and how they are judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    description: str = ""
    workload: Annotated[tuple[Choice, ...], choices_of("workload")]
    model: Annotated[tuple[Choice, ...], choices_of("model")]
    optimizer: Annotated[tuple[Choice, ...], choices_of("optimizer")]
    transforms: Annotated[tuple[Choice, ...], choices_of("transform")]
    lr: Annotated[tuple[LearningRate, ...], BeforeValidator(_axis)]
    weight_decay: Annotated[tuple[WeightDecay, ...], BeforeValidator(_axis)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63, strict=True)], ...], BeforeValidator(_seeds)]
    budget: Annotated[Budget, _settings(Budget)]
    conditions: Annotated[Axes, PlainValidator(read_axes)] = ()
    claims: Annotated[tuple[str, ...], CLAIMS] = ()
    region: Annotated[Tolerances, _settings(Tolerances)] = Tolerances()
    workers: Annotated[Workers, _settings(Workers)] = Workers()
    design: Design = "grid"

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"a spec is a mapping of keys to values; known keys: {', '.join(cls.model_fields)}")
        return value

    @model_validator(mode="after")
    def _rising_axes(self) -> StudySpec:
        for axis in ("lr", "weight_decay"):
            try:
                object.__setattr__(self, axis, _rising(getattr(self, axis)))
            except ValueError as error:
                raise ValueError(f"{axis}: {error}") from None
        if self.budget.steps > MOST_STEPS:
            raise ValueError(f"budget.steps: found {self.budget.steps:,}; wanted at most {MOST_STEPS:,}")
        if self.size > MOST_CELLS:
            raise ValueError(f"the spec has {self.size:,} cells; wanted at most {MOST_CELLS:,}: thin out an axis, or make several studies")
        try:
            self.all_conditions  # noqa: B018  # refuses what is out of range
        except ValueError as error:
            raise ValueError(f"conditions: {error}") from None
        return self

    @property
    def all_conditions(self) -> tuple[Condition, ...]:
        """The budget under every combination of what is varied; the budget alone where nothing is."""
        return conditions(self.budget, self.conditions)

    @property
    def size(self) -> int:
        """Number of cells."""
        varied = [values for _, values in self.conditions]
        return math.prod(map(len, (self.workload, self.model, self.optimizer, self.transforms, self.lr, self.weight_decay, self.seeds, *varied)))

    @field_serializer("conditions")
    def _as_mapping(self, axes: Axes) -> dict[str, list[Any]]:
        return {key: list(values) for key, values in axes}

    @property
    def methods(self) -> tuple[Choice, ...]:
        """Every method of the spec, of all kinds."""
        return (*self.workload, *self.model, *self.optimizer, *self.transforms)

    def canonical(self) -> str:
        """The spec as JSON with every default written out; `parse_spec` reads it."""
        chosen = {key: [choice.written for choice in getattr(self, key)] for key in KINDS.values()}
        return json.dumps(self.model_dump(mode="json") | chosen | {"conditions": {key: list(values) for key, values in self.conditions}}, sort_keys=True)


def marks(canonical: str) -> set[str]:
    """The marks of all methods of a spec that `StudySpec.canonical` wrote."""
    content = json.loads(canonical)
    return {mark(kind, item) for kind, key in KINDS.items() for item in content[key]}


def shipped() -> dict[str, str]:
    """Names and texts of the specs that come with the package."""
    return {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in sorted(SPECS.iterdir(), key=lambda e: e.name) if entry.name.endswith(".yaml")}


def read_spec(source: str, launched: Collection[str] = ()) -> StudySpec:
    """The spec of that shipped name or in that file.

    Args:
        launched: marks of methods whose constants need no check, because a study was launched with them.

    Raises:
        SpecError: no such spec or file, or its content is wrong; the message names every error.
    """
    specs = shipped()
    if source in specs:
        return parse_spec(specs[source], source, launched)
    path = Path(source)
    try:
        exists = path.exists()
    except OSError:  # longer than a path may be, say
        exists = False
    if not exists:
        raise SpecError(f"{source}: neither a file nor a shipped spec; shipped: {', '.join(specs)}{nearest(source, specs)}")
    if not path.is_file():
        raise SpecError(f"{source}: not a file; give a YAML file or one of the shipped specs: {', '.join(specs)}")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SpecError(f"{source}: has {path.stat().st_size:,} bytes; a spec has at most {MOST_BYTES:,}")
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SpecError(f"{source}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{source}: is not text: byte {error.start} is {content[error.start]:#04x}; wanted a YAML file in UTF-8") from None
    return parse_spec(text, source, launched)


def parse_spec(text: str, source: str = "spec", launched: Collection[str] = ()) -> StudySpec:
    """The spec written in a YAML text.

    Raises:
        SpecError: the message has one line per error: key, found, wanted, nearest.
    """
    try:
        content = load_yaml(text)
    except ValueError as error:
        raise SpecError(f"{source}: {error}") from None
    try:
        return StudySpec.model_validate(content, context={"launched": launched})
    except ValidationError as error:
        raise SpecError("\n".join(f"{source}: {line}" for line in explain(error, list(StudySpec.model_fields)))) from None
