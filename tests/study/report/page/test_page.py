"""The page of a study: what stands on it, what it may load, and what no name can do to it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from study.report.page.report_page import for_script
from tests.fabricated import WIDE, hill
from tests.study.report.page.studies import FALLING, RICH, Parsed, analysis_of, bare_page_of, page_of


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a small study of three transforms."""
    return page_of(analysis_of(tmp_path_factory.mktemp("page"), WIDE, hill))


@pytest.fixture(scope="module")
def parsed(page: str) -> Parsed:
    return Parsed(page)


def test_structure(page: str, parsed: Parsed) -> None:
    """It is a whole page of which every element is closed, with one title and headings in their order."""
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>")
    assert parsed.one("html").attributes["lang"] == "en"
    assert parsed.one("h1").text == "tiny"
    levels = [int(one.tag[1]) for one in parsed.all if re.fullmatch("h[1-6]", one.tag)]
    assert all(after - level <= 1 for level, after in itertools.pairwise(levels))
    ids = [one.attributes["id"] for one in parsed.all if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    sections = [one.attributes["id"] for one in parsed.of("section")]
    assert sections == ["verdicts", "reached", "maps", "slices", "provenance"]
    assert {f"#{name}" for name in sections} == {one.attributes["href"] for one in parsed.of("a")}


def test_pictures_have_words_and_tables(parsed: Parsed) -> None:
    """Every picture has a text, and behind each map, slice and table stands a table with headed cells."""
    for picture in parsed.of("svg"):
        hidden = picture.attributes.get("aria-hidden") == "true"
        assert hidden or (picture.attributes["role"] == "img" and picture.attributes["aria-label"])
    maps = parsed.of("figure", "map")
    assert len(maps) == 3
    tables = parsed.of("table")
    for one in maps:
        assert any(one in table.inside for table in tables)
    assert all(header.attributes["scope"] in ("row", "col") for header in parsed.of("th"))
    for select in parsed.of("select"):
        assert any(one.tag == "label" for one in select.inside)
    # What scrolls can be reached and scrolled with the keys.
    for scrolled in parsed.of("div", "scroll"):
        assert scrolled.attributes["tabindex"] == "0"
        assert scrolled.attributes["aria-label"]


def test_nothing_is_loaded(page: str, parsed: Parsed) -> None:
    """No reference leads out of the file, and the policy names exactly its own style and script."""
    for element in parsed.all:
        assert element.tag not in ("link", "img", "iframe", "object", "embed", "form", "base")
        assert not {"src", "srcset", "data", "action", "style"} & element.attributes.keys()
        assert not [name for name in element.attributes if name.startswith("on")]
        for name in ("href", "xlink:href"):
            assert (element.attributes.get(name) or "#").startswith("#")
    style = parsed.one("style").text
    assert "@import" not in style
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", style))
    (script,) = [one.text for one in parsed.of("script") if "type" not in one.attributes]
    assert re.findall(r"https?://[^\"]*", script) == ["http://www.w3.org/2000/svg"]
    (policy,) = [
        one.attributes["content"] or "" for one in parsed.of("meta") if "http-equiv" in one.attributes
    ]
    for text in (style, script):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert page.index("Content-Security-Policy") < page.index("<style>")


EVIL = "</script><img src=x onerror=alert(1)>"
LONG = "x" * 300
NAMES = {
    "markup": EVIL,
    "quotes": "a\"b'c`d{{ 7*7 }}{% raw %}&amp;",
    "comment": "<!--<script>",
    "long": LONG,
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_cannot_break_out(kind: str, tmp_path: Path) -> None:
    """Whatever a study is called, its name is text and nothing else, in the markup and in the data."""
    name = NAMES[kind]
    text = WIDE.replace("a study of seconds", json.dumps(name))
    first = analysis_of(tmp_path, text, hill)
    spec = first.plan.spec.model_copy(update={"name": name})
    analysis = replace(first, plan=replace(first.plan, spec=spec))
    # A transform's name reaches maps, tables, labels and the data of the script.
    vars(analysis)["landscapes"] = [
        replace(one, transform=name) if one.transform == "unit_norm" else one for one in first.landscapes
    ]
    page = bare_page_of(analysis)
    found = Parsed(page)
    assert found.one("h1").text == name
    assert name in [one.text for one in found.of("p", "lead")]
    assert found.of("img") == []
    assert len(found.of("script")) == 2
    assert [panel["name"] for panel in found.data["settings"][0]["panels"]] == ["none", name, "autoscale"]


def test_data_for_scripts_opens_no_element() -> None:
    """JSON inside of a script element has no sign that could end or begin one, and means the same."""
    value = {"a": [EVIL, "<!--", "\u2028", "é"]}
    text = for_script(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


LRS, DECAYS = "[1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]", "[1e-3, 1e-2, 1e-1]"
DEGENERATE = {
    "one cell": (
        WIDE.replace(LRS, "[1e-2]").replace(DECAYS, "[1e-2]").replace("seeds: 3", "seeds: 1")
        .replace("[none, unit_norm, autoscale]", "[none]"),
        hill,
        "one learning rate: no width",
    ),
    "one transform": (WIDE.replace("[none, unit_norm, autoscale]", "[autoscale]"), hill, "autoscale"),
    "everything diverged": (WIDE, lambda cell: None, "no trained region"),
    "nothing learned": (WIDE, lambda cell: 0.1, "no trained region"),
    "an edge-seeking design": (WIDE + "design: edges\n", hill, "competitive"),
    "weight decay 0": (WIDE.replace(DECAYS, "[0, 1e-3, 1e-2]"), hill, "decades"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_studies_have_a_page(name: str, tmp_path: Path) -> None:
    """Small and wild studies have a page with words where a number is missing."""
    text, score, words = DEGENERATE[name]
    found = Parsed(page_of(analysis_of(tmp_path, text, score)))
    assert words in found.words
    assert not re.search(r"\b(nan|inf|None|undefined)\b", found.words)
    for picture in found.all:
        for value in picture.attributes.values():
            assert not re.search(r"\bnan\b|\binf\b", value or "")


def test_settings_dynamics_and_published_numbers(tmp_path: Path) -> None:
    """Each setting has maps, dynamics have lines with a table, and a paper's numbers stand beside."""
    found = Parsed(bare_page_of(analysis_of(tmp_path, RICH, hill, dynamics=FALLING)))
    settings = found.of("div", "setting")
    assert len(settings) == 2
    for place in settings:
        assert len([one for one in found.of("figure", "map") if place in one.inside]) == 2
    links = [one.attributes["href"] for one in found.of("a")]
    assert {"#dynamics", "#published"} <= set(links)
    assert "standard deviation of the gradient" in found.words
    assert any(one.text.startswith(("step ", "epoch ")) for one in found.of("th"))
    assert "0.125" in found.words
    # The paper's number of this network and method, and that a study of another recipe says nothing about it.
    assert "0.6134" in found.words
    assert "not comparable" in found.words


def test_a_study_of_nothing_has_a_page(tmp_path: Path) -> None:
    """Where nothing is trained yet, all cells are pending and the page says so."""
    found = Parsed(bare_page_of(analysis_of(tmp_path, WIDE, hill, skip=lambda cell: True)))
    assert "no complete seed yet" in found.words
    assert "pending" in found.words
    assert {path.attributes["class"] for path in found.of("path") if path.has("pP")} == {"pP", "pP boxed"}
