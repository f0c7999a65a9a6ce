"""Training of the user's own: a function or a command that a spec names as its workload."""

from __future__ import annotations

import ast
import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from study.spec.command_template import files_of_command, placeholders, source_of_command, title_of
from study.spec.method_choice import Choice
from study.spec.problem import FieldError, Problem, wrong
from study.spec.user_modules import Module, OwnCode
from trainers.budget import Budget
from trainers.naming import nearest, short

FORMS = ("function", "command")
OWN = "own"
"""The model and the optimizer of training that has its own, where the spec gives them no name."""
REPORTED = "reported"
"""In the place of a score before training: a report of step 0 has it."""
LIMIT = 86_400.0
"""How long one cell may train, where the spec does not say [s]."""
MOST_LIMIT = 1_000_000.0
"""The longest that one may be given [s]: longer waits do not fit into the system's clock, which counts ms."""
METRIC = re.compile(r"[\w.\- ]{1,60}")
TAKEN = ("loss", "grad_std", "scale")
"""Names of series that trackers keep of every cell."""
SAID = ("step", "metric", "note", "diverged", "ended")
"""Keys of reports that mean something else."""
CELL_FILE = "STABILITY_STUDY_CELL"
"""The environment variable that names the file with a command's cell, as JSON."""
APPLIED = ("steps", "batch_size", "points", "explosion_factor")
"""Keys of a budget that every training knows of, or that are applied to its reports."""
LONGEST = 40
"""Characters of a name of the user's own model or optimizer."""


@dataclass(frozen=True)
class OwnTraining:
    """What a spec says of training of the user's own, because no code says it.

    Args:
        metric: name of the score that it reports.
        direction: `max` where a higher score is better, else `min`.
        paired: the seed decides first weights and order of data, so that two methods with equal seeds differ
            by the method alone.
        untrained: the score before training, of every seed; `reported` where a report of step 0 has it.
        untrained_loss: the loss before training [loss units]. None where a report of step 0 has it, or where
            it is not known: then losses explode by no rule, and claims about losses lack it.
        limit: how long one cell may train, > 0 [s].
        command: its words, with placeholders; empty for a function.
        inputs: files that decide what the command does, beside those that its words name.
    """

    metric: str
    direction: str
    paired: bool
    untrained: float | str
    untrained_loss: float | None = None
    limit: float = LIMIT
    command: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def higher_is_better(self) -> bool:
        return self.direction == "max"


ASKED = {
    "metric": "the name of the score that it reports, such as accuracy",
    "direction": "max where a higher score is better, else min",
    "untrained": "the score before training, such as that of guessing, or the word reported",
    "paired": "true if the seed decides first weights and order of data, else false",
}
"""What has to be told, in words."""


def own_training_of(choice: Choice) -> OwnTraining:
    """What a spec says of a choice that is training of the user's own."""
    known = {field.name for field in dataclasses.fields(OwnTraining)}
    return OwnTraining(**{key: value for key, value in choice.constants if key in known})


def form_of(item: Any) -> str:
    """`function` or `command` where a written workload is one; else empty."""
    return next((form for form in FORMS if isinstance(item, Mapping) and form in item), "")


def with_own_parts(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A spec in which training of the user's own has names for its model and optimizer.

    They are labels: the code owns both, and may read them.

    Raises:
        FieldError: such training stands beside a named workload, or a label is no short text.
    """
    given = content.get("workload")
    items = given if isinstance(given, list) else [given]
    if not any(map(form_of, items)):
        return content
    if not all(map(form_of, items)):
        text = "found training of your own beside another workload; make a study of each"
        raise wrong(text, "workload", shows_value=True)
    return {**content, **{key: _labels(key, content.get(key, OWN)) for key in ("model", "optimizer")}}


def _labels(key: str, value: Any) -> tuple[Choice, ...]:
    if isinstance(value, tuple) and all(isinstance(one, Choice) for one in value):
        return value
    items = value if isinstance(value, list) else [value]
    for one in items:
        if not (
            isinstance(one, str) and one.isprintable() and 0 < len(one) <= LONGEST and one == one.strip()
        ):
            raise wrong(
                f"found {short(one)}; your own training owns its {key}: leave the key out, "
                f"or give a name of 1 to {LONGEST} characters",
                key,
                shows_value=True,
            )
        if items.count(one) > 1:
            raise wrong(f"{key} {short(one)} appears twice; give each once", key, shows_value=True)
    if not items:
        raise wrong("the list is empty; leave the key out, or name one", key, shows_value=True)
    return tuple(Choice(one) for one in items)


def own_choice(item: Mapping[Any, Any], code: OwnCode) -> Choice:
    """The workload of a function or a command, as a spec writes it.

    Raises:
        ValueError: something is missing or wrong; one error names all of it.
    """
    form = form_of(item)
    told = {key: value for key, value in item.items() if key != form}
    problems = [*_problems(form, told)]
    if problems:
        raise FieldError(problems)
    constants = {key: _plain(value) for key, value in told.items()}
    if form == "command":
        command, inputs = item[form], told.get("inputs", [])
        name = title_of(command)
        source = source_of_command(name, command, inputs, code)
        constants["command"] = tuple(command)
        place = code.folder if code.trusted else None
    else:
        name = item[form]
        if not isinstance(name, str):
            raise wrong(f"found {short(name)}; wanted 'package.module:name'", form, shows_value=True)
        source, place = code.source_of(name), code.place_of(name)
        if code.runs:
            check_text(name, code.find(name))
    return Choice(name, tuple(sorted(constants.items())), source, place, form=form)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _problems(form: str, told: Mapping[Any, Any]) -> Iterable[Problem]:
    known = [field.name for field in dataclasses.fields(OwnTraining) if field.name != "command"]
    if form == "function":
        known.remove("inputs")
    for key in told:
        if key not in known:
            yield Problem(
                f"unknown key {short(key)} of a {form}; known: {', '.join(known)}{nearest(str(key), known)}",
                shows_value=True,
            )
    for key, words in ASKED.items():
        if key not in told:
            yield Problem(f"{key} is missing; give {words}", shows_value=True)
    for key, right in CHECKS.items():
        if key in told and not right(told[key]):
            yield Problem(f"found {short(told[key])}; wanted {WANTED[key]}", (key,), shows_value=True)


def is_number(value: Any) -> bool:
    """Whether a value of a spec is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_metric(value: Any) -> bool:
    return isinstance(value, str) and bool(METRIC.fullmatch(value)) and value not in (*TAKEN, *SAID)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


CHECKS = {
    "metric": _is_metric,
    "direction": lambda value: value in ("max", "min"),
    "paired": lambda value: isinstance(value, bool),
    "untrained": lambda value: value == REPORTED or is_number(value),
    "untrained_loss": is_number,
    "limit": lambda value: is_number(value) and 0 < value <= MOST_LIMIT,
    "inputs": _are_texts,
}
WANTED = {
    "metric": "letters, digits, '_', '-', '.' and blanks, and no name that has a meaning of its own",
    "direction": "max or min",
    "paired": "true or false",
    "untrained": "the score before training, or the word reported where step 0 is reported with one",
    "untrained_loss": "a finite number, the loss before training",
    "limit": f"a number of seconds above 0 and at most {MOST_LIMIT:,.0f}",
    "inputs": "a list of files",
}


def warnings(axes: Mapping[str, int], budgets: Iterable[Budget], workload: Choice) -> list[str]:
    """What a reader of a plan should know of training of the user's own, which no code can find out.

    Args:
        axes: how many values a study has along each, by its placeholder.
        budgets: of all conditions.
    """
    own, name = own_training_of(workload), workload.name
    lines = []
    unnamed = [
        f"{{{axis}}}"
        for axis, count in axes.items()
        if own.command and count > 1 and axis not in placeholders(own.command)
    ]
    if unnamed:
        lines.append(
            f"the command of {name} does not name {', '.join(unnamed)}: its cells differ in it only if it "
            f"reads the file that {CELL_FILE} names"
        )
    if own.command and not files_of_command(own.command, own.inputs, workload.folder or ""):
        lines.append(
            f"the command of {name} names no file beside the spec: cells stay the same ones when a file "
            "changes that it reads; name such files as inputs"
        )
    left = [key for key in _asked_of(budgets) if key not in placeholders(own.command)]
    if left:
        lines.append(
            f"{name} has to apply {', '.join(left)} of the budget by itself: nothing else does, "
            "and its cells are shown as if it did"
        )
    if own.untrained_loss is None:
        lines.append(
            f"the spec tells no untrained_loss of {name}: "
            "unless it reports the loss of step 0, no loss counts as exploded"
        )
    if not own.paired:
        lines.append(
            f"the seeds of {name} are not paired: equal seeds of two transforms are independent runs, "
            "so that differences take more seeds"
        )
    return lines


def _asked_of(budgets: Iterable[Budget]) -> list[str]:
    """Keys of budgets that differ from the default and that the trainers apply, which do not train here."""
    found = list(budgets)
    return [
        field.name
        for field in dataclasses.fields(Budget)
        if field.name not in APPLIED and any(getattr(one, field.name) != field.default for one in found)
    ]


def check_text(reference: str, module: Module) -> None:
    """Refuse a function whose file shows that it cannot be called with a cell; nothing of it runs.

    Raises:
        ValueError: found, wanted, do. What a text does not show, a launch finds out.
    """
    name = reference.partition(":")[2]
    try:
        body = ast.parse(module.path.read_bytes()).body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"module {module.name!r} cannot be read as Python: {error}") from None
    for node in body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name == name:
            raise ValueError(f"{reference} is an async function; wanted a plain one, `def {name}(cell):`")
        if isinstance(node, ast.FunctionDef) and node.name == name and not node.decorator_list:
            takes = node.args
            if not (takes.posonlyargs or takes.args or takes.vararg):
                raise ValueError(f"{reference} takes no argument; wanted one, the cell: `def {name}(cell):`")
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        ):
            raise ValueError(
                f"{reference} is {short(node.value.value)}; wanted a function, `def {name}(cell):`"
            )
    there = bound_names(body)
    # What `from … import *` brings is not seen in a text.
    if name not in there and "*" not in there:
        raise ValueError(f"module {module.name!r} has no {name!r}; it is {module.path}{nearest(name, there)}")


def bound_names(body: Iterable[ast.stmt]) -> set[str]:
    """All names that a module may have, by its text."""
    found: set[str] = set()
    for one in body:
        for node in ast.walk(one):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return found
