"""A spec found by name or file, and read."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from study.errors import UserError
from study.spec.messages import explain
from study.spec.methods import mark
from study.spec.model import StudySpec
from study.spec.names import KINDS
from study.spec.yaml import MOST_BYTES, load_yaml
from trainers.naming import nearest

SPECS = files("study") / "specs"


def marks(canonical: str) -> set[str]:
    """The marks of all methods of a spec that `StudySpec.canonical` wrote; none of any other text."""
    try:
        content = json.loads(canonical)
        return {mark(name, item) for name, kind in KINDS.items() for item in content[kind.key]}
    except (ValueError, KeyError, TypeError):
        return set()


def shipped() -> dict[str, str]:
    """Names and texts of the specs that come with the package."""
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(SPECS.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def read_spec(source: str, launched: Collection[str] = ()) -> StudySpec:
    """The spec of that shipped name or in that file.

    Args:
        launched: marks of methods whose constants need no check, because a study was launched with them.

    Raises:
        UserError: no such spec or file, or its content is wrong; the message names every error.
    """
    specs = shipped()
    if source in specs:
        return parse_spec(specs[source], source, launched)
    path = Path(source)
    try:
        exists = path.exists()
    # A name that is longer than a path may be raises, and is no file.
    except OSError:
        exists = False
    if not exists:
        known = f"shipped: {', '.join(specs)}{nearest(source, specs)}"
        raise UserError(f"{source}: neither a file nor a shipped spec; {known}")
    if not path.is_file():
        known = ", ".join(specs)
        raise UserError(f"{source}: not a file; give a YAML file or one of the shipped specs: {known}")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{source}: has {path.stat().st_size:,} bytes; a spec has at most {MOST_BYTES:,}")
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is {content[error.start]:#04x}"
        raise UserError(f"{source}: not text, because {byte}; wanted a YAML file in UTF-8") from None
    return parse_spec(text, source, launched)


def parse_spec(text: str, source: str = "spec", launched: Collection[str] = ()) -> StudySpec:
    """The spec written in a YAML text.

    Raises:
        UserError: the message has one line per error: key, found, wanted, nearest.
    """
    try:
        content = load_yaml(text)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None
    try:
        return StudySpec.model_validate(content, context={"launched": launched})
    except ValidationError as error:
        lines = explain(error, list(StudySpec.model_fields))
        raise UserError("\n".join(f"{source}: {line}" for line in lines)) from None
