"""Launches that go on until their claims are decided, and what they note of their looks."""

from __future__ import annotations

from contextlib import closing
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from search_spaces import Cell
from study.home import Home
from study.plan.cells import make_plan
from study.report.claims_page import claims_page
from study.report.export import provenance
from study.run.looks import Looks
from study.stored import read, spec_of, status
from tests.command import answer
from tests.command import study as command
from tests.conftest import TINY
from tests.fabricated import UNTRAINED, fabricate

OWN = "tests.study.claims.rules:WIDER"
TEXT = (
    TINY.replace("[1e-3, 1e-2, 30]", "{low: 1e-5, high: 10, points_per_decade: 2}")
    .replace("[none, unit_norm]", "[none, unit_norm, zscore, centralization, agc]")
    .replace("seeds: 3", f"seeds: 3\nclaims: ['{OWN}']\nverdicts: {{looks: [3, 5, 8]}}")
)


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STABILITY_STUDY_ALLOW", "tests")
    monkeypatch.syspath_prepend(Path(__file__).parents[3])


def wide(cell: Cell) -> float | None:
    """All train from 10^-4 to 10^-2; unit_norm two decades further."""
    at = np.log10(cell.lr)
    edge = 0.05 * np.sin(7 * cell.seed + 3 * len(cell.transform))
    if at < -4 + edge:
        return UNTRAINED
    return 0.9 if at < -2 + edge + 2 * (cell.transform == "unit_norm") else None


def alike(cell: Cell) -> float | None:
    """The same without a difference, and with edges that vary by most of a decade."""
    at = np.log10(cell.lr)
    rng = np.random.default_rng([cell.seed, len(cell.transform)])
    edge = rng.normal(0, 0.7)
    if at < -4:
        return UNTRAINED
    return 0.9 if at < -1 + edge else None


def stored(folder: Path, score: object, seeds: int) -> tuple[Path, Home]:
    """A home that has the first so many seeds of the study."""
    spec, home = folder / "s.yaml", folder / "home"
    spec.write_text(TEXT)
    fabricate(spec, home, score, skip=lambda cell: cell.seed >= seeds)  # type: ignore[arg-type]
    return spec, Home(home)


def test_nothing_more_is_asked_of_what_is_decided(tmp_path: Path) -> None:
    """After the look that decides the only claim, the study is complete and no look is left."""
    spec, home = stored(tmp_path, wide, 5)
    analysis = read(spec_of(str(spec), home), home)
    (own,) = (claim for claim in analysis.judged if claim.id == OWN)
    assert (own.verdict, own.standing) == ("supported", "decided")
    assert analysis.next_keys == [] or "open" in {claim.standing for claim in analysis.judged}
    assert analysis.complete
    assert status(spec_of(str(spec), home), home).complete


def test_a_look_that_began_is_pending(tmp_path: Path) -> None:
    """Four of five seeds are three and a look that is not complete: what it lacks is pending, and no more."""
    spec, home = stored(tmp_path, alike, 4)
    analysis = read(spec_of(str(spec), home), home)
    assert analysis.judgement.look
    assert analysis.judgement.look.seeds == 3
    assert analysis.judgement.next
    lacking = [key for key in analysis.next_keys if key not in analysis.stored]
    assert analysis.counts["pending"] == len(lacking) > 0
    assert not analysis.complete
    seeds = {cell.seed for cell in analysis.plan.cells if cell.key in set(lacking)}
    assert seeds == {4}


def test_pages_and_pictures_know_the_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no look has asked for is not pending in tables nor grey in pictures; a page says the looks."""
    monkeypatch.setattr("study.claims.sequence.HOPELESS", 1.1)
    spec, home = stored(tmp_path, alike, 3)
    with closing(home.open_ledger()) as ledger:
        rules = spec_of(str(spec), home).verdict_rules
        ledger.note_verdict_rules("tiny", rules.replace('"competitive": 0.05', '"competitive": 0.5'), 0)
        ledger.note_verdict_rules("tiny", rules.replace('"trained": 0.1', '"trained": 0.3'), 3)
    analysis = read(spec_of(str(spec), home), home)
    assert set(analysis.cells["outcome"]) <= {"finished", "diverged"}
    assert len(analysis.cells) == len(analysis.stored) < len(analysis.plan.cells)
    for one in analysis.pictured:
        assert one.seeds == (0, 1, 2)
        assert one.complete_S.all()
    behind = provenance(analysis)
    assert behind["seeds"] == [0, 1, 2]
    page = claims_page(analysis, behind)
    assert "Seeds 0, 1, 2. " in page
    assert "Looks at the claims, by complete seeds: 3, 5, 8 (named in the spec)." in page
    changed = "region: competitive from 0.5 to 0.05; region: trained from 0.1 to 0.3."
    assert f"The rules of verdicts were changed when 3 seeds were complete: {changed}" in page
    assert "These verdicts follow rules that no launch has named: region: trained from 0.3 to 0.1." in page
    assert "They may have been seen by 3 sets of rules" in page
    assert "with 85% all of them hold" in page
    assert behind["verdicts"]["confidence"] == pytest.approx(0.85)
    assert "It would take " in page
    futile = [claim for claim in analysis.claims if claim.standing == "futile"]
    assert futile
    assert page.count("**inconclusive** (futile)") == len(futile)


def test_rules_and_looks_are_noted(tmp_path: Path) -> None:
    """The rules that a study began with, and those that came later, with the seeds that were seen by then."""
    spec, home = stored(tmp_path, alike, 5)
    with closing(home.open_ledger()) as ledger:
        ledger.note_verdict_rules("tiny", "{}", 0)
        ledger.note_verdict_rules("tiny", '{"lr":[]}', 5)
        ledger.note_verdict_rules("tiny", "{}", 9)
        ledger.note_look("tiny", 5)
        ledger.note_look("tiny", 3)
        ledger.note_look("tiny", 5)
        assert ledger.verdict_rules("tiny") == (("{}", 0), ('{"lr":[]}', 5), ("{}", 9))
        assert ledger.looks("tiny") == (5, 3)
        assert ledger.looks("another") == ()
    analysis = read(spec_of(str(spec), home), home)
    assert analysis.verdict_rules[-1] == ("{}", 9)
    # Looks that the spec names are not those that somebody took.
    assert [look.seeds for look in analysis.schedule.looks] == [3, 5, 8]


def test_looks_by_hand_share_the_error(tmp_path: Path) -> None:
    """A study without looks that was seen after three seeds judges five at a tenth of the error."""
    spec, home = stored(tmp_path, wide, 5)
    spec.write_text(TEXT.replace("verdicts: {looks: [3, 5, 8]}", "").replace("seeds: 3", "seeds: 5"))
    alone = read(spec_of(str(spec), home), home).judgement
    with closing(home.open_ledger()) as ledger:
        ledger.note_look("tiny", 3)
    again = read(spec_of(str(spec), home), home)
    assert [look.share for look in again.schedule.looks] == pytest.approx([0.8, 0.1])
    # What was decided after three seeds stays.
    first = {claim.id: claim for claim in again.judgement.claims}
    assert first[OWN].n_seeds == 3
    assert {claim.n_seeds for claim in alone.claims} == {5}


def test_a_look_at_too_few_seeds_is_none(tmp_path: Path) -> None:
    """Where a cell is missing no verdict is given, and so none was seen."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(TEXT.replace("verdicts: {looks: [3, 5, 8]}", "").replace("seeds: 3", "seeds: 5"))
    fabricate(spec, home, wide, skip=lambda cell: cell.seed == 2 and cell.lr > 1)
    place = Home(home)
    analysis = read(spec_of(str(spec), place), place)
    assert analysis.judgement.look is None
    assert {claim.verdict for claim in analysis.claims} == {"inconclusive"}
    assert analysis.most_seeds == 4


def test_until_decided_needs_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any the launch is refused before anything is made, and says what to write."""
    spec = tmp_path / "s.yaml"
    spec.write_text(TINY)
    code = command("launch", str(spec), "--home", str(tmp_path / "home"), "--here", "--until-decided")
    assert code == 2
    assert "verdicts: {looks: [3, 5, 8, 12]}" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_a_launch_goes_on_until_its_claims_are_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look after look is trained, of what open claims need; the rules stand in the ledger before."""
    # On so small a grid no verdict is in sight.
    monkeypatch.setattr("study.claims.sequence.HOPELESS", 0.0)
    spec, place = tmp_path / "s.yaml", tmp_path / "home"
    three = TINY.replace("[none, unit_norm]", "[none, clip_norm, gradient_stabilizer]")
    spec.write_text(three + "verdicts: {looks: [3, 4, 6]}\n")
    where = (str(spec), "--home", str(place), "--here")
    code, first = answer(capsys, "launch", *where)
    assert code == 0
    assert isinstance(first, dict)
    assert first["trained_now"] == 54
    # Cells of looks that are still to come are not lacking.
    assert command("check", "--home", str(place)) == 0
    capsys.readouterr()
    code, second = answer(capsys, "launch", *where, "--until-decided")
    assert code == 0
    assert isinstance(second, dict)
    home = Home(place)
    analysis = read(spec_of(str(spec), home), home)
    assert second["trained_now"] == len(analysis.stored) - 54 > 0
    assert analysis.judgement.next is None
    standings = {claim.standing for claim in analysis.judged}
    assert "at the cap" in standings
    assert "open" not in standings
    assert analysis.verdict_rules == ((analysis.plan.spec.verdict_rules, 0),)
    code, third = answer(capsys, "launch", *where, "--until-decided")
    assert code == 0
    assert isinstance(third, dict)
    assert third["trained_now"] == 0
    assert command("check", "--home", str(place)) == 0
    capsys.readouterr()
    # Verdicts were seen after 6 seeds, so that fewer are refused.
    spec.write_text(three + "verdicts: {looks: [3, 5]}\n")
    assert command("launch", *where) == 2
    assert "looks end at 5 seeds, and its verdicts were seen after 6" in capsys.readouterr().err


def test_other_seeds_are_another_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds in the place of those whose verdicts were seen are told, and cost the confidence of all together.

    Appended seeds are a further look, which pays for itself.
    """
    spec, place = tmp_path / "s.yaml", Home(tmp_path / "home")
    three = TINY.replace("[none, unit_norm]", "[none, clip_norm, gradient_stabilizer]")

    def looked(seeds: str) -> str:
        """What a launch of these seeds says of its rules; its cells are there."""
        spec.write_text(three.replace("seeds: 3", f"seeds: {seeds}"))
        said = StringIO()
        place.prepare()
        for trained in (False, True):
            if trained:
                fabricate(spec, place.root, wide)
            with closing(place.open_ledger()) as ledger:
                plan = make_plan(spec_of(str(spec), place), ledger.fingerprints("tiny"))
                looks = Looks(plan, ledger, "", Console(file=said, width=500))
                looks.concluded() if trained else looks.preregister()
        return said.getvalue()

    assert looked("3") == ""
    assert looked("4") == ""
    assert "changed when 4 seeds were complete: seeds from [0, 1, 2, 3] to [3, 4, 5]" in looked("[3, 4, 5]")
    analysis = read(spec_of(str(spec), place), place)
    page = claims_page(analysis, provenance(analysis))
    assert "They may have been seen by 2 sets of rules" in page
    assert "with 90% all of them hold" in page
    # A reader with yet other seeds sees it, too.
    spec.write_text(three.replace("seeds: 3", "seeds: [5, 4, 3]"))
    where = (str(spec), "--home", str(place.root))
    code, found = answer(capsys, "analyse", *where)
    assert code == 0
    assert isinstance(found, dict)
    assert found["rules"][-1].startswith("These verdicts follow rules that no launch has named: seeds from")
    planned, together = (answer(capsys, verb, *where)[1] for verb in ("plan", "verdicts"))
    assert isinstance(planned, dict)
    assert isinstance(together, dict)
    assert planned["rules"] == together["studies"][0]["rules"] == found["rules"]


def test_a_disk_that_cannot_hold_the_cap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan and launch say what the cells take, what is free, and what to do; the launch goes on."""
    spec, place = tmp_path / "s.yaml", tmp_path / "home" / "deep"
    spec.write_text(TINY)
    where = (str(spec), "--home", str(place))
    assert command("plan", *where) == 0
    assert "of disk, and" not in capsys.readouterr().out
    monkeypatch.setattr("study.plan.preview.disk_usage", lambda _: SimpleNamespace(free=100_000))
    assert command("plan", *where) == 0
    said = " ".join(capsys.readouterr().out.split())
    wanted = "the missing cells take about 792 kB of disk, and 100 kB are free; choose fewer seeds or points"
    assert wanted in said
    assert not place.exists()
    assert command("launch", *where, "--here") == 0
    assert wanted in " ".join(capsys.readouterr().out.split())
    code, found = answer(capsys, "plan", *where)
    assert code == 0
    assert isinstance(found, dict)
    assert (found["estimated_bytes_at_most"], found["free_bytes"]) == (0, 100_000)
