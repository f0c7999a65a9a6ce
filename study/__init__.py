"""Stability Study in a script or a notebook: read a spec, launch it, look at what came out.

Example:
    >>> import study
    >>> spec = study.read_spec("quickstart")
    >>> spec.first_size
    1764
    >>> analysis = study.analyse(spec, home="an-empty-home")
    >>> analysis.counts["pending"]
    1764
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from study.analysis import Analysis
    from study.launch_result import Launch
    from study.spec.factory import factory
    from study.spec.model import StudySpec

__all__ = ["__version__", "analyse", "factory", "launch", "read_spec"]

# Everything is imported inside the functions: `study --help` imports this file too, and must answer
# in under a second.


def read_spec(source: str | Path, allow: Iterable[str] | None = None) -> StudySpec:
    """The spec of that shipped name, or in that YAML file. The code of the user's own that it names runs.

    Args:
        allow: packages that it may name, beside modules that lie beside the file.

    Raises:
        UserError: no such spec or file, or its content is wrong; the message has one line per error.
    """
    from study.spec.read import read_spec as read

    return read(str(source), allow=allow, runs=True)


def launch(
    spec: StudySpec | str | Path,
    home: str | Path = "stability-study-home",
    *,
    here: bool = False,
    address: str | None = None,
    tracking_uri: str | None = None,
    console: Console | None = None,
    until_decided: bool = False,
    allow: Iterable[str] | None = None,
) -> Launch:
    """Train what is missing, store it, show it in MLflow, analyse it and write the exports.

    Progress is printed, in a notebook too. The same call goes on after any interruption.

    Args:
        spec: a spec, or what `read_spec` takes.
        home: the folder of ledger, MLflow, Optuna and exports.
        here: train in this process instead of on Ray's workers.
        address: an existing Ray cluster; None starts one on this machine.
        tracking_uri: an MLflow server; None takes the home's own database.
        console: where progress goes; None prints it.
        until_decided: add seeds, look by look, until every claim is decided, futile or at the cap. Without it
            a study with looks is trained up to its next look.
        allow: packages that the spec may name, where `spec` is a name or a file.

    Raises:
        UserError: the input is wrong, or the spec has no looks to decide by; nothing was changed.
        PoolError: there are no workers.
        LedgerError: the home can no longer be written; what was stored is whole.
    """
    from rich.console import Console

    from study.home import Home
    from study.run.launch import launch as run
    from study.run.launch_options import LaunchOptions

    return run(
        read_spec(spec, allow) if isinstance(spec, (str, Path)) else spec,
        Home(Path(home)),
        console or Console(emoji=False),
        LaunchOptions(here=here, address=address, tracking_uri=tracking_uri, until_decided=until_decided),
    )


def analyse(
    spec: StudySpec | str | Path,
    home: str | Path = "stability-study-home",
    *,
    allow: Iterable[str] | None = None,
) -> Analysis:
    """Everything that is concluded from the cells that a home has of a study; trains and writes nothing.

    Of code of the user's own that a spec's file names, only that of claims runs, when they are judged.

    Args:
        spec: a spec, what `read_spec` takes, or the name of a study that the home has.
        home: the folder of ledger, MLflow, Optuna and exports.
        allow: packages that the spec may name, where `spec` is a name or a file.

    Returns:
        `cells` and `regions` are pandas tables, `claims` a list of `study.claims.Claim`. Each is computed
        when it is first used.

    Raises:
        UserError: no such spec or study, its content is wrong, or stored cells have another meaning.
        LedgerError: the home's ledger cannot be read.
    """
    from study.home import Home
    from study.stored import read, spec_of

    place = Home(Path(home))
    return read(spec_of(str(spec), place, allow) if isinstance(spec, (str, Path)) else spec, place)


def __getattr__(name: str) -> Any:
    if name == "factory":
        from study.spec.factory import factory

        return factory
    if name == "__version__":
        # Read when it is used: the package's metadata is the one place where the number stands.
        from importlib.metadata import version

        return version("stability-study")
    raise AttributeError(f"module 'study' has no attribute {name!r}")
