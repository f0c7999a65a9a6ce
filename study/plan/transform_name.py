"""The transform of a study that a person names."""

from __future__ import annotations

import shlex

from study.errors import UserError
from study.spec.method_choice import Choice
from study.spec.model import StudySpec
from trainers.naming import nearest


def transform_named(spec: StudySpec, name: str) -> Choice:
    """The transform of a study by any of its names.

    Args:
        name: the technical name (`clip_norm(max_norm=0.5)`), the label of the spec, or the method's name
            alone where the study has one variant of it.

    Raises:
        UserError: there is no such transform, or there are several variants.
    """
    labels = {one.technical_name: one for one in spec.transforms}
    titles = {one.title: one for one in spec.transforms}
    variants = [one for one in spec.transforms if one.name == name]
    # The technical name first: a method without constants is its own, beside variants that have some.
    if name in labels:
        return labels[name]
    if name in titles:
        return titles[name]
    if len(variants) == 1:
        return variants[0]
    # Quoted as a shell wants it, because brackets end a command.
    if variants:
        among = ", ".join(shlex.quote(one.technical_name) for one in variants)
        raise UserError(
            f"{name!r} stands for {len(variants)} transforms of {spec.name}; give one of: {among}"
        )
    among = ", ".join(map(shlex.quote, labels))
    raise UserError(
        f"unknown transform {name!r} in {spec.name}; it has: {among}{nearest(name, list(labels))}"
    )
