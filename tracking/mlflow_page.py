"""What MLflow's UI shows of a study beside its runs: links, descriptions, and views of the table of runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

NOTE = "mlflow.note.content"
"""The tag that the UI shows as a description, in Markdown."""
LONGEST_NOTE = 5000
"""Characters. A run's tag may have 8,000, an experiment's 20,000 (5,000 before MLflow 3.10)."""
VIEW = "mlflow.sharedViewState."
"""How the tags of an experiment begin in which the UI keeps views of its table of runs."""
CELLS = "study-cells"
"""The view that a study's link opens."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Not a study of prompts. MLflow 3.17 goes by the link alone; others go by this tag."""
ML = "workflowType=machine_learning"
"""Without it MLflow 3.17 opens an experiment as one of GenAI, where it shows traces."""


@dataclass(frozen=True)
class Place:
    """Where a study is in MLflow, and links there, relative to the page of any MLflow.

    Attributes:
        experiment: its id.
        run: id of the study's own run.
        alone: no other home has a study of this name there.
    """

    experiment: str
    run: str
    alone: bool = True

    @property
    def own(self) -> str:
        """The page of the study's own run."""
        return f"#/experiments/{self.experiment}/runs/{self.run}?{ML}"

    def table(self, view: str) -> str:
        """The table of runs in one of its views."""
        return table(self.experiment, view)

    def artifact(self, path: str) -> str:
        """The page that shows one of the run's files."""
        return f"#/experiments/{self.experiment}/runs/{self.run}/artifacts/{quote(path)}?{ML}"


def table(experiment: str, view: str = CELLS) -> str:
    """The table of an experiment's runs; without a view in that of whoever looks."""
    chosen = f"&viewStateShareKey={view}" if view else ""
    return f"#/experiments/{experiment}/runs?{ML}{chosen}"


@dataclass(frozen=True)
class View:
    """A view of the table of runs, listed under "Views" above it.

    Attributes:
        name: shown to people.
        columns: what is shown beside name and time, in this order, with widths [pixels]; `column` names one.
        order: the column that runs are sorted by. With any but the time no run is folded into its parent.
        search: which runs are shown, in MLflow's language.
    """

    name: str
    columns: Mapping[str, int]
    order: str
    ascending: bool = False
    search: str = ""

    def stored(self, made: int) -> str:
        """The tag's value, as the UI's own "Save as new view" writes it.

        Args:
            made: when [ms since 1970].
        """
        # Name, status and time stay in front whatever is said here, and the duration is always shown, too.
        widths = {NAME: 260, CREATED: 120, **self.columns, DURATION: 80}
        state = {
            "searchFilter": self.search,
            "orderByKey": self.order,
            "orderByAsc": self.ascending,
            "selectedColumns": list(self.columns),
            "columnOrder": list(widths),
            "columnWidths": widths,
        }
        return json.dumps(
            {"name": self.name, "createdAt": made, "updatedAt": made, "state": json.dumps(state)}
        )


NAME, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"
"""What the UI calls the columns that every view has."""


def column(kind: str, name: str) -> str:
    """A column of the table.

    Args:
        kind: `attributes`, `params`, `metrics` or `tags`.
    """
    return f"{kind}.`{name}`"


@dataclass(frozen=True)
class Page:
    """What a study shows of itself.

    Attributes:
        note: the description, in Markdown.
        views: by the end of their tags' names.
        tags: of the experiment, which the list of experiments shows.
    """

    note: str
    views: Mapping[str, View]
    tags: Mapping[str, str] = field(default_factory=dict)

    def of_experiment(self, made: int) -> dict[str, str]:
        """The tags of the experiment."""
        views = {f"{VIEW}{name}": view.stored(made) for name, view in self.views.items()}
        return {**KIND, **views, **self.tags, NOTE: self.note}
