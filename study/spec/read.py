"""A spec found by name or file, and read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from study.errors import UserError
from study.spec.ambiguity import problems
from study.spec.messages import explain, lines_of
from study.spec.methods import mark
from study.spec.model import OWN_CODE, StudySpec
from study.spec.names import KINDS
from study.spec.strict_json import strict_json
from study.spec.user_modules import OwnCode, allowed_packages
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


def noted_code(text: str) -> dict[str, str]:
    """The hashes of sources in a text that `StudySpec.remembered` wrote; none in any other."""
    try:
        return {str(name): str(source) for name, source in json.loads(text).get(OWN_CODE, {}).items()}
    except (ValueError, AttributeError):
        return {}


def shipped() -> dict[str, str]:
    """Names and texts of the specs that come with the package."""
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(SPECS.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def shipped_text(name: str) -> str:
    """The text of a shipped spec.

    Raises:
        UserError: there is none of that name.
    """
    specs = shipped()
    if name not in specs:
        raise UserError(f"{name}: not a shipped spec; shipped: {', '.join(specs)}{nearest(name, specs)}")
    return specs[name]


def is_there(source: str) -> bool:
    """Whether there is something at this path."""
    try:
        return Path(source).exists()
    # A name that is longer than a path may be raises, and is no file.
    except OSError:
        return False


def read_spec(
    source: str,
    launched: Collection[str] = (),
    *,
    allow: Iterable[str] | None = None,
    runs: bool = False,
    remembered: Mapping[str, str] | None = None,
) -> StudySpec:
    """The spec of that shipped name or in that file.

    Args:
        allow: packages whose factories it may name, beside modules that lie beside the file; None takes those
            that the environment names.
        runs: call the factories that it names, as a launch will, to find what is wrong with them. Otherwise
            nothing of the user's runs.
        remembered: hashes of sources whose files need not be here, by reference.
        launched: marks of methods whose constants need no check, because a study was launched with them.

    Raises:
        UserError: no such spec or file, or its content is wrong; the message names every error.
    """
    specs = shipped()
    if source in specs:
        code = OwnCode(str(SPECS), allowed_packages(allow), runs, remembered=remembered or {})
        return parse_spec(specs[source], source, launched, code)
    path = Path(source)
    if not is_there(source):
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
    folder = str(path.absolute().parent)
    code = OwnCode(folder, allowed_packages(allow), runs, remembered=remembered or {})
    return parse_spec(text, source, launched, code)


def parse_stored(text: str, name: str) -> StudySpec:
    """The spec that a ledger remembers, of which nothing runs.

    Modules of homes that remember no hashes are looked for in the current folder.

    Raises:
        UserError: it is no spec.
    """
    code = OwnCode(str(Path.cwd()), allowed_packages(), trusted=False, remembered=noted_code(text))
    try:
        content = json.loads(text)
        content.pop(OWN_CODE, None)
        plain = strict_json(content)
    except (ValueError, AttributeError):
        raise UserError(f"{name}: what the ledger has of it is no spec; launch it again") from None
    return parse_spec(plain, name, marks(text), code)


def parse_spec(
    text: str, source: str = "spec", launched: Collection[str] = (), code: OwnCode | None = None
) -> StudySpec:
    """The spec written in a YAML text.

    Args:
        code: where the code that it names lies; beside a text that is no file there is none.

    Raises:
        UserError: the message has one line per error: key, found, wanted, nearest.
    """
    try:
        content = load_yaml(text)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None
    if lines := lines_of(list(problems(content))):
        raise UserError("\n".join(f"{source}: {line}" for line in lines))
    try:
        code = code or OwnCode()
        return StudySpec.model_validate(content, context={"launched": launched, "code": code}).named_by(code)
    except ValidationError as error:
        lines = explain(error, list(StudySpec.model_fields))
        raise UserError("\n".join(f"{source}: {line}" for line in lines)) from None
