"""Analyses of made-up cells without a ledger, and pages of them, read by a parser of HTML."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from search_spaces import Cell
from study.analysis import Analysis
from study.plan.cells import make_plan, settings
from study.report.export import provenance
from study.report.page.report_page import report_page
from study.report.plain.regions import regions
from study.spec.read import read_spec
from tests.fabricated import Score, record_of
from tracking import CellRecord

VOID = {"meta", "br", "img", "input", "link", "hr"}


RICH = """
name: rich
workload: {name: cifar100, label_smoothing: 0.1}
model: resnet20
optimizer: [adamw, sgd]
transforms: [none, autoscale]
lr: [1e-3, 1e-2, 1]
weight_decay: [5e-5, 1e-2]
seeds: 3
budget: {steps: 100, batch_size: 32, dynamics: 20}
"""
"""Two settings, recorded dynamics, and data that a paper printed numbers of."""
FALLING = json.dumps(
    {
        "step": [1, 21, 41],
        "grad_std": [0.5, 0.25, 0.125],
        "scale": [0.5, 0.5, 0.5],
        "update_ratio": [1e-3, 1e-3, 1e-3],
        "layer_std": {"a": [0.5, 0.25, 0.125]},
        "gain": {"a": [1.0, 1.0, 1.0]},
    }
)
"""What every cell of it recorded."""


def analysis_of(
    folder: Path,
    text: str,
    score: Score,
    *,
    skip: Callable[[Cell], bool] = lambda cell: False,
    dynamics: str = "{}",
) -> Analysis:
    """What is concluded from made-up cells of a spec."""
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    spec = read_spec(str(path))
    prints = {setting.name: "made up" for setting in settings(spec)}
    plan = make_plan(spec, prints)
    stored: dict[str, CellRecord] = {
        cell.key: replace(record_of(cell, score(cell)), dynamics=dynamics)
        for cell in plan.cells
        if not skip(cell)
    }
    runs = {key: f"{k:032x}" for k, key in enumerate(stored, 1)}
    return Analysis(plan, stored, runs)


def page_of(analysis: Analysis) -> str:
    """The page, with everything that belongs on it but importances, whose forests take longest."""
    vars(analysis)["importances"] = []
    return report_page(analysis, list(regions(analysis)), provenance(analysis))


def bare_page_of(analysis: Analysis) -> str:
    """The page without claims and measures, which take far longer than it to compute."""
    vars(analysis)["claims"] = []
    return report_page(analysis, [], provenance(analysis))


@dataclass
class Element:
    """One element with all the text inside of it."""

    tag: str
    attributes: dict[str, str | None]
    inside: list[Element]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether it is of a class."""
        return name in (self.attributes.get("class") or "").split()


class Parsed(HTMLParser):
    """A page as a list of elements; an element that is not closed is an error."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.all: list[Element] = []
        self._open: list[Element] = []
        self.feed(page)
        self.close()
        assert not self._open, [one.tag for one in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), list(self._open))
        assert len(element.attributes) == len(attrs), f"an attribute of {tag} appears twice"
        self.all.append(element)
        if self._open:
            self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes {self._open[-1].tag}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def of(self, tag: str, name: str = "") -> list[Element]:
        """The elements with this tag, and of this class if one is given."""
        return [one for one in self.all if one.tag == tag and (not name or one.has(name))]

    def one(self, tag: str, name: str = "") -> Element:
        (found,) = self.of(tag, name)
        return found

    @property
    def data(self) -> Any:
        """What the script reads."""
        (found,) = [one for one in self.of("script") if one.attributes.get("id") == "data"]
        return json.loads(found.text)

    @property
    def words(self) -> str:
        """All that can be read."""
        text = self.one("body").text
        for script in self.of("script"):
            text = text.replace(script.text, " ")
        return " ".join(text.split())
