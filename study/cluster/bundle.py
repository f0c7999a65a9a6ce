"""What travels to a cluster: a spec and the user's own modules that it names."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from study.errors import UserError
from study.report.terminal.pasted import ASKED
from study.spec.command_template import files_of_command
from study.spec.model import StudySpec
from study.spec.own_training import own_training_of
from study.spec.read import shipped
from study.spec.user_modules import Module
from study.spec.user_source import files_of, is_installed

FOLDER = "files"
"""Where it lies on the head. Ray puts the folder above on Python's path: a user's module there that has the
name of an installed package would stand for that package in every process of the job."""
SPEC = f"{FOLDER}/spec.yaml"
MOST_BYTES = 10 * 2**20
"""Source of a module is small. A file above this is data, which belongs on the cluster's volume."""


@dataclass(frozen=True)
class Bundle:
    """A study as it is sent.

    Attributes:
        study: its name.
        source: the shipped name or the file that it was read from.
        digest: of the study's meaning and the user's own modules: 64 hexadecimal digits.
        files: content by path.
        packages: installed packages that the spec may name, which must be installed on the cluster too.
        allow: packages that the user allowed here.
    """

    study: str
    source: str
    digest: str
    files: Mapping[str, bytes]
    packages: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id of its launch: the same study, the same id."""
        return f"study-{self.study}-{self.digest[:12]}"

    def command(self, *program: str, address: str, options: Iterable[str] = ()) -> str:
        """The shell command that does something with the study on the head.

        Args:
            program: the command up to the spec.
            address: of the cluster, as the user named it.
        """
        asked = shlex.join([self.source, *_allowing(self.allow), "--cluster", address])
        environment = (
            f"{ASKED}={shlex.quote(asked)}",
            # A head that was started from a user's shell may have it, and would ask itself for ever.
            "STABILITY_STUDY_CLUSTER=",
            # Not beside the copy of the spec, which Ray removes after the job.
            'STABILITY_STUDY_HOME="${STABILITY_STUDY_HOME:-$HOME/stability-study-home}"',
        )
        return " ".join([*environment, shlex.join([*program, SPEC, *_allowing(self.packages), *options])])

    def write(self, folder: Path) -> None:
        """Write the files, for their owner alone."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(content)


def bundle_of(source: str, spec: StudySpec, allow: Iterable[str]) -> Bundle:
    """The bundle of a spec.

    Args:
        source: the shipped name or the file that it was read from.
        allow: packages that it may name.

    Raises:
        UserError: a module cannot be sent.
    """
    known = shipped()
    text = known[source].encode() if source in known else Path(source).read_bytes()
    files = {SPEC: text}
    allow, packages = tuple(allow), list[str]()
    for path, content in _inputs(source, spec).items():
        files[path] = content
    commands = {one.name for one in spec.workload if one.form == "command"}
    for reference in (*(name for name in spec.own_code if name not in commands), *spec.claims):
        try:
            module = spec.code.find(reference)
        except ValueError as error:
            raise UserError(f"{source}: {error}") from None
        if is_installed(module.path):
            packages += [one for one in allow if reference.startswith((f"{one}.", f"{one}:"))]
            continue
        for path, content in _sources(module).items():
            if files.setdefault(path, content) != content:
                raise UserError(
                    f"{reference}: {module.root} and another folder both have "
                    f"{path.removeprefix(FOLDER)[1:]}; wanted one file of that name; rename one"
                )
    digest = hashlib.sha256(f"{spec.name}\n{spec.remembered()}".encode())
    # The files too: what a spec remembers has no source of claims.
    for path, content in sorted(files.items()):
        if path != SPEC:
            digest.update(f"\n{path}\n{len(content)}\n".encode() + content)
    return Bundle(spec.name, source, digest.hexdigest(), files, tuple(dict.fromkeys(packages)), allow)


def _allowing(packages: Iterable[str]) -> list[str]:
    """The options with which a command may read a spec that names these packages."""
    return [word for package in packages for word in ("--allow", package)]


def _inputs(source: str, spec: StudySpec) -> dict[str, bytes]:
    """The files of a spec's commands, by the path at which they are sent.

    Raises:
        UserError: one of them is too large, or lies elsewhere than beside the spec.
    """
    found = {}
    for one in spec.workload:
        if one.form != "command":
            continue
        own, folder = own_training_of(one), Path(spec.code.folder)
        for name, path in files_of_command(own.command, own.inputs, str(folder)).items():
            # A path with `..` in it would be written elsewhere than where the command looks.
            if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()):
                raise UserError(
                    f"{source}: {name} does not lie beside the spec, so that it cannot be sent; put it there"
                )
            _check_size(path)
            found[f"{FOLDER}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    return found


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UserError(
            f"{path}: has {size:,} bytes; a module that is sent has at most {MOST_BYTES:,}; "
            "put data into a file of its own on the cluster's volume"
        )


def _sources(module: Module) -> dict[str, bytes]:
    """The files that decide what a module does, by the path at which they are sent.

    Raises:
        UserError: one of them is too large.
    """
    found = {}
    for path in files_of(module.name, module.path).values():
        _check_size(path)
        found[f"{FOLDER}/{path.relative_to(module.root).as_posix()}"] = path.read_bytes()
    return found
