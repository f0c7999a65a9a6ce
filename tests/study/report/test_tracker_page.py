"""What a tracker's UI says of a study: the numbers of the analysis, and nothing of the user's as mark-up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from study.analysis import Analysis
from study.home import Home
from study.report.claims_page import shown_estimate
from study.report.tracker_figures import NOT_DECIDABLE, metric_name, summary, tags, verdict_counts
from study.report.tracker_page import cell, note, page_of, plain, spec_block
from study.report.tracker_views import views
from study.spec.read import parse_spec, read_spec
from study.stored import read
from tests.conftest import TINY
from tests.fabricated import fabricate, hill
from tracking.mlflow_page import CELLS, LONGEST_NOTE, Place

FILES = ["claims.md", "heatmaps/digits.pdf", "heatmaps/digits-mlp.png", "report.html"]
PLACE = Place("7", "abc")


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """72 made-up cells of four transforms, three of which have claims."""
    folder = tmp_path_factory.mktemp("page")
    spec = folder / "tiny.yaml"
    spec.write_text(TINY.replace("[none, unit_norm]", "[none, clip_norm, autoscale, gradient_stabilizer]"))
    fabricate(spec, folder / "home", hill)
    return read(read_spec(str(spec)), Home(folder / "home"))


def test_the_first_line_has_verdicts_and_links(analysis: Analysis) -> None:
    """Folded, a description shows one line: how claims came out, and where report and heatmap are."""
    first = note(analysis, FILES, PLACE).splitlines()[0]
    assert first.startswith(f"{verdict_counts(analysis)} · [report](#/experiments/7/runs/abc/artifacts/")
    assert "artifacts/heatmaps/digits-mlp.png" in first
    assert "artifacts/claims.md" in first
    assert "report" not in note(analysis, ["claims.md"], PLACE).splitlines()[0]


def test_every_claim_is_told_with_its_number_or_as_not_decidable(analysis: Analysis) -> None:
    """A claim that has a number has a row with it; one that nothing was measured for says what is lacking."""
    said, found = note(analysis, FILES, PLACE), tags(analysis)
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    lacking = [claim for claim in analysis.claims if claim.estimate is None]
    assert measured
    assert lacking
    for claim in measured:
        row = f"| **{claim.verdict}** | `{claim.id}` | {shown_estimate(claim)}, {plain(claim.against)} |"
        assert row in said
        assert found[f"claim.{claim.id}"] == claim.verdict
        assert found[f"claim.{claim.id}.number"].startswith(shown_estimate(claim))
    told = said.partition(f"**{NOT_DECIDABLE}**")[2]
    for claim in lacking:
        assert f"`{claim.id}`" in told
        assert found[f"claim.{claim.id}"] == NOT_DECIDABLE
        assert f"claim.{claim.id}.number" not in found


def test_figures_are_those_of_the_analysis(analysis: Analysis) -> None:
    """Counts, widths and scores with their intervals, by transform; what has no number has no figure."""
    found, confidence = summary(analysis), analysis.plan.spec.region.confidence
    assert found["cells_diverged"] == analysis.counts["diverged"]
    for one in analysis.reached:
        assert found[f"score/{one.case.landscape.transform}"] == one.score.mean  # type: ignore[union-attr]
        low, high = one.score.interval(confidence)  # type: ignore[union-attr, misc]
        assert found[f"score_low/{one.case.landscape.transform}"] == low
        assert found[f"score_high/{one.case.landscape.transform}"] == high
    named = {f"claim/{claim.id}": claim.estimate for claim in analysis.judged}
    assert {name: found.get(name) for name in named} == named


def test_the_spec_can_be_launched_again(analysis: Analysis) -> None:
    """The spec that the description ends with is the study's own, in lines that do not widen the page."""
    text = spec_block(analysis.plan.spec).removeprefix("```yaml\n").removesuffix("\n```")
    nameless = analysis.plan.spec.model_copy(update={"description": ""})
    assert parse_spec(text).canonical() == nameless.canonical()
    assert max(map(len, text.splitlines())) <= 100
    assert note(analysis, FILES, PLACE).endswith(f"{text}\n```")


def test_words_of_the_user_are_no_mark_up(analysis: Analysis) -> None:
    """A description ends no table and makes no picture, and a note keeps to the length that servers take."""
    wild = "# </script><img src=x onerror=alert(1)> | [a](javascript:x) `\n\n| " + 9000 * "x"
    spec = analysis.plan.spec.model_copy(update={"description": wild})
    said = note(replace(analysis, plan=replace(analysis.plan, spec=spec)), FILES, PLACE)
    assert len(said) <= LONGEST_NOTE
    for mark in ("<img", "<script", "</", "[a](", "\n#", "\n| x"):
        assert mark not in said, mark
    assert plain("a_b\n# c |") == "a\\_b \\# c \\|"
    assert cell("x | <b>\ny") == "x \\| &lt;b> y"


def test_the_table_of_runs_shows_what_tells_cells_apart(analysis: Analysis, tmp_path: Path) -> None:
    """Transform, lr, weight decay, seed, score, outcome, best first; where lower is better, lowest first."""
    page = page_of(analysis, FILES)(PLACE)
    shown = page.views[CELLS]
    names = [name.partition("`")[2].rstrip("`") for name in shown.columns]
    assert names == ["transform", "lr", "weight_decay", "seed", "accuracy_final", "outcome"]
    assert (shown.order, shown.ascending) == ("metrics.`accuracy_final`", False)
    assert page.tags == {"verdicts": verdict_counts(analysis)}
    many = tmp_path / "many.yaml"
    many.write_text(
        TINY.replace("optimizer: adamw", "optimizer: [sgd, adamw]") + "conditions: {loss_scale: [0.1, 1]}\n"
    )
    fabricate(many, tmp_path / "home", lambda cell: None)
    varied = views(read(read_spec(str(many)), Home(tmp_path / "home")))[CELLS]
    assert [*varied.columns][:2] == ["params.`optimizer`", "params.`transform`"]
    assert "params.`loss_scale`" in varied.columns
    lower = [replace(one, higher_is_better=False) for one in analysis.landscapes]
    other = replace(analysis)
    other.__dict__["landscapes"] = lower
    assert views(other)[CELLS].ascending


def test_names_of_figures_hold_what_mlflow_allows() -> None:
    """A transform's constants and a path of the user's own code are no other characters than MLflow takes."""
    assert metric_name("none") == "none"
    assert metric_name("my_methods:soft_clip(bound=0.5)") == "my_methods_soft_clip_bound_0.5"
    assert metric_name("../../x") == "x"
