"""Widths, titles and styles that a user chooses, and panels on demand."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.errors import UserError
from study.report.pictures.on_demand import PANELS
from study.report.pictures.plots import PLOTS
from study.report.pictures.quantities import QUANTITIES
from study.report.pictures.style import PictureStyle, settings_of, style
from tests.command import answer
from tests.fabricated import WIDE, fabricate, hill

DRAWN = ("score", "loss", "outcomes", "steps", "difference", "forest", "slices", "tuning", "importances")


def test_a_style_is_a_name_or_a_file(tmp_path: Path) -> None:
    """A style of matplotlib's, or a file; it changes what is drawn, and never how text is stored."""
    from matplotlib import rcParams

    file = tmp_path / "mine.mplstyle"
    file.write_text("font.family: serif\nsvg.fonttype: path\ntext.usetex: True\n")
    with style(look=PictureStyle(style=str(file))):
        assert rcParams["font.family"] == ["serif"]
        assert (rcParams["svg.fonttype"], rcParams["text.usetex"]) == ("none", False)
        assert rcParams["font.size"] == 7
    assert settings_of("ggplot")
    assert settings_of("") == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ggplott", "did you mean"),
        ("https://example.org/a.mplstyle", "neither a file nor a style"),
        ("here", "neither"),
    ],
)
def test_another_style_is_refused(name: str, said: str) -> None:
    """Nothing is fetched, and a near name is suggested."""
    with pytest.raises(UserError, match=said):
        settings_of(name)


def test_a_file_that_is_no_style_is_refused(tmp_path: Path) -> None:
    """A wrong line is said, where matplotlib would go on without it."""
    file = tmp_path / "mine.mplstyle"
    file.write_text("font.sise: 3\n")
    with pytest.raises(UserError, match="--style"):
        settings_of(str(file))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="--style"):
        settings_of(str(file))


def test_panels_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every panel has a picture and its numbers; a wrong name is input that is wrong."""
    spec, home, out = tmp_path / "s.yaml", tmp_path / "home", tmp_path / "out"
    spec.write_text(WIDE)
    fabricate(spec, home, hill)
    words = [word for name in DRAWN for word in ("--panel", name)]
    where = (str(spec), "--home", str(home), "--out", str(out))
    code, found = answer(
        capsys, "figures", *where, *words, "--width", "one", "--no-title", "--style", "ggplot"
    )
    assert code == 0
    assert isinstance(found, dict)
    assert found["missing"] == {}
    names = {Path(path).name for path in found["figures"]}
    for name in ("accuracy", "loss", "outcomes", "steps", "difference"):
        assert {f"digits-mlp-adamw-{name}.png", f"digits-mlp-adamw-{name}.csv"} <= names
    for name in ("forest", "slices", "tuning", "importances"):
        assert {f"{name}-digits-mlp-adamw.png", f"{name}-digits-mlp-adamw.csv"} <= names
    assert "digits-mlp-adamw-accuracy-edges.csv" in names
    for wrong in (("--panel", "scores"), ("--width", "three"), ("--style", "nothing")):
        assert answer_code(capsys, *where, *wrong) == 2


def test_every_picture_is_a_panel() -> None:
    """Each kind of heatmap and of plot can be asked for by its name."""
    assert {*QUANTITIES, *PLOTS} <= set(PANELS)


def answer_code(capsys: pytest.CaptureFixture[str], *words: str) -> int:
    """The exit code of `study figures`."""
    from tests.command import study

    capsys.readouterr()
    return study("figures", *words)
