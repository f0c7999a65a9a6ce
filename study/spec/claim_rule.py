"""A claim: a sentence, where it stands, the method that it is about, and the function that measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BeforeValidator, ValidationInfo

from study.spec.problem import FieldError, Problem, problems_at, wrong
from study.spec.user_code import load, remember
from study.spec.user_modules import OwnCode, check_form
from trainers.naming import short

ACROSS = ("condition", "optimizer")
"""What of a setting a claim may compare."""
MADE = "Rule(sentence, source, method, decide), made with study.claims.Rule"

# Any, because what it takes and returns are of rooms that stand above this one.
Decide = Callable[[Any, Any], Any]
"""Measures a claim about one landscape, that of the method with one choice of its constants.

It is called as `decide(evidence, own)`; the study's other settings are `evidence.study`.
"""


@dataclass(frozen=True)
class Rule:
    """A sentence, where it stands, the method that it is about, and how a study measures it.

    Attributes:
        across: what of a setting (`condition`, `optimizer`) the measurement itself compares. The claim is
            then asked once for all of them. A claim that does not compare conditions is asked of the one
            nearest to the ordinary. Precisions and quantizations are always asked apart.
        each_variant: ask it of every variant of the method's constants, not of the first alone.
        family: name of a group of claims that read different thresholds off the same comparisons. Their
            verdicts need no correction among themselves. Empty where it is alone.
        version: of the measurement; it rises when the meaning of the number changes.
        absolute: it is about numbers of the method alone. Twins of the method cannot show it to be false.
        varies: conditions that the study must vary, else it cannot be asked.
        from_edges: regions against each transform's own best are all that it reads, so that an edge-seeking
            design suffices.
    """

    sentence: str
    source: str
    method: str
    decide: Decide
    across: tuple[str, ...] = ()
    each_variant: bool = True
    absolute: bool = False
    family: str = ""
    version: int = 1
    varies: tuple[str, ...] = ()
    from_edges: bool = False


def rule_of(reference: str, code: OwnCode) -> Rule:
    """A user's rule; its module runs.

    Raises:
        ValueError: there is none of that name, or it is something else, or the spec was read out of a home.
    """
    if not code.trusted:
        raise ValueError(f"{reference}: code that a home names is not run; give the spec as a file")
    module = code.find(reference)
    found = load(reference, module)
    if not isinstance(found, Rule):
        raise ValueError(f"{reference} is {short(found)}; wanted a {MADE}")
    remember(module)
    for name in ("sentence", "source", "method"):
        if not isinstance(getattr(found, name), str):
            shown = short(getattr(found, name))
            raise ValueError(f"{reference}: its {name} is {shown}; wanted text: {MADE}")
    if not isinstance(found.across, tuple) or not set(found.across) <= set(ACROSS):
        wanted = f"wanted a tuple of some of {', '.join(ACROSS)}"
        raise ValueError(f"{reference}: its across is {short(found.across)}; {wanted}")
    if not callable(found.decide):
        wanted = f"wanted a function (evidence, own) -> Finding: {MADE}"
        raise ValueError(f"{reference}: its decide is {short(found.decide)}; {wanted}")
    return found


def _read(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    code: OwnCode = (info.context or {}).get("code", OwnCode())
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    problems: list[Problem] = []
    for k, item in enumerate(items):
        try:
            if not isinstance(item, str):
                raise wrong(f"found {short(item)}; wanted 'package.module:name' of a rule of your own")
            if code.runs:
                rule_of(item, code)
            else:
                check_form(item)
            if item in items[:k]:
                raise wrong(f"{short(item)} appears twice; give each once")
        except ValueError as error:
            problems += problems_at((k,), error)
    if problems:
        raise FieldError(problems)
    return tuple(items)


CLAIMS = BeforeValidator(_read)
"""Reads one name of a user's rule or a list of them."""
