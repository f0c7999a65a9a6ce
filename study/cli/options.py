"""Arguments and options that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="Name of a shipped spec, or a YAML file.")]
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="STABILITY_STUDY_HOME", help="Folder of ledger, MLflow, Optuna and exports."
    ),
]
TrackerOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        show_envvar=True,
        help="An MLflow server, or @FILE that holds its address; default: the home's own database.",
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="PACKAGE",
        envvar="STABILITY_STUDY_ALLOW",
        help="A package whose factories and claims the spec may name; repeatable.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="URL",
        envvar="STABILITY_STUDY_CLUSTER",
        help="A Ray cluster elsewhere, by its dashboard: http://HOST:8265. Its head keeps the home.",
    ),
]
