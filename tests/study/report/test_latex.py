"""The LaTeX tables of an export compile, whatever users call their methods."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from study import stored
from study.analysis import Analysis
from study.home import Home
from study.measures.landscape import Landscape
from study.report.export import provenance
from study.report.latex import PACKAGES, bounded, escaped, foreign, number
from study.report.latex_tables import claims_latex, measures_latex
from study.spec.read import read_spec
from tests.fabricated import WIDE, fabricate, hill

NASTY = r"a_b%c&d$e#f{g}h~i^j\k <|> `l' ''m'' --n-- [o] *p − α β Ω µ ≥ ² × “q” é ş" + "r" * 300
"""Everything that LaTeX would take for a command, what pdfLaTeX does not know, and a name of any length."""
COMMAND = re.compile(r"\\[a-zA-Z]+|\\.", re.DOTALL)
ALLOWED = re.compile(r"[ -~\n\u00a1-\u017f]*")


def refusals(text: str) -> list[str]:
    """What LaTeX would stumble over, by rules stricter than its own."""
    found = []
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    if not ALLOWED.fullmatch(body):
        found.append("letters that pdfLaTeX does not know")
    begun = re.findall(r"\\(begin|end)\{(\w+)\}", body)
    if [name for what, name in begun if what == "begin"] != [name for what, name in begun if what == "end"]:
        found.append("environments do not match")
    # `\\` at the end of a row takes `[` and `*` behind it for its own.
    if re.search(r"\\\\\*?\s*(\[|\*[^\n])", body):
        found.append("a row begins with an argument of the row before")
    bare = COMMAND.sub("", body)
    if depths(bare) is None:
        found.append("braces do not match")
    if re.search(r"[%#~^_\\]", re.sub(r"\$[^$]*\$", "", re.sub(r"\^\{", "{", bare))):
        found.append("a special letter is not escaped")
    for line in bare.splitlines():
        if line.count("$") % 2:
            found.append(f"mathematics does not end: {line}")
    return found


def depths(text: str) -> int | None:
    """0 where braces match, else None."""
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        if depth < 0:
            return None
    return depth or 0 if depth == 0 else None


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A study of two settings, whose description has every letter that LaTeX minds."""
    folder = tmp_path_factory.mktemp("latex")
    spec = folder / "tiny.yaml"
    spec.write_text(WIDE + "conditions: {loss_scale: [0.01, 1]}\n")
    fabricate(spec, folder / "home", hill)
    found = stored.read(read_spec(str(spec)), Home(folder / "home"))
    vars(found)["importances"] = []
    return found


@pytest.fixture
def nasty(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """The same, with methods of nasty names."""
    monkeypatch.setattr(Landscape, "title", property(lambda own: f"{own.transform} {NASTY}"))
    return analysis


def test_escapes_are_strict_enough_to_fail() -> None:
    """The check that stands in for LaTeX refuses what is not escaped."""
    for wrong in ("a_b", "50 %", "{a", "a}", "$x", "α", "\\\\\n[a]", "\\begin{tabular}", "a#b"):
        assert refusals(wrong), wrong
    assert not refusals(r"a\_b 50\% \{a\} $x_{1}$ \ensuremath{\alpha} \textasciicircum{}")


def test_any_name_is_escaped() -> None:
    """Special letters, typographic signs and Greek are written as pdfLaTeX knows them."""
    assert not refusals(escaped(NASTY))
    assert escaped("clip_norm(max_norm=0.5)") == (
        r"clip\_\allowbreak{}norm(max\_\allowbreak{}norm=\allowbreak{}0.5)"
    )
    assert escaped("−α²") == r"\ensuremath{-}\ensuremath{\alpha}\ensuremath{^{2}}"
    assert escaped("a--b") == "a-{}-b"
    assert escaped("a\nb\x1b[0m") == "a b {[}0m"
    assert "\\allowbreak" in escaped("x" * 300)


def test_other_scripts_stay_and_are_named() -> None:
    """Letters that take another LaTeX are not lost, and the file says that they do."""
    assert escaped("裁剪") == "裁剪"
    assert foreign("clip 裁剪裁") == "裁剪"
    assert not foreign(NASTY)


def test_numbers_are_mathematics() -> None:
    """Powers of ten, infinity, bounds and intervals; a minus is a minus sign."""
    assert number(-1.234e-5) == r"-1.23\times10^{-5}"
    assert number(float("inf")) == r"\infty"
    assert bounded(4.2, (3.7, 4.7), lower=True, upper=False) == r"$\geq 4.2$ $[3.7,\ 4.7]$"
    assert bounded(-1, None, lower=False, upper=False) == "$-1$"
    assert bounded(1, None, lower=True, upper=True) == "above or below $1$"


def test_tables_hold_whatever_the_names(nasty: Analysis) -> None:
    """Both files are whole LaTeX, and every row of them has as many columns as its head."""
    for text in (claims_latex(nasty, provenance(nasty)), measures_latex(nasty, provenance(nasty))):
        assert not refusals(text)
        rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert len(rows) >= 5
        columns = {len(re.findall(r"(?<!\\)&", row)) for row in rows}
        assert len(columns) == 1


def test_every_claim_has_number_unit_and_n(analysis: Analysis) -> None:
    """Each measured claim has its row in its setting's table, with interval, unit, n and verdict."""
    text = claims_latex(analysis, provenance(analysis))
    measured = [claim for claim in analysis.claims if claim.estimate is not None]
    assert measured
    for claim in measured:
        rows = [line for line in text.splitlines() if line.startswith(escaped(claim.id) + " &")]
        assert len(rows) == sum(other.id == claim.id for other in measured)
        for row in rows:
            assert re.search(r"\$.*\[.*\]\$", row)
            assert f"& {claim.n_seeds} &" in row
        assert any(escaped(claim.unit) in row for row in rows)
    assert text.count(r"\begin{tabular}") == len({claim.setting for claim in measured})


def test_pdflatex_reads_the_tables(nasty: Analysis, tmp_path: Path) -> None:
    """LaTeX itself sets both files, without an error."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex is installed")
    (tmp_path / "claims.tex").write_text(claims_latex(nasty, provenance(nasty)), encoding="utf-8")
    (tmp_path / "measures.tex").write_text(measures_latex(nasty, provenance(nasty)), encoding="utf-8")
    packages = PACKAGES.replace("} ", "}\n")
    document = (
        f"\\documentclass{{article}}\n{packages}\n\\begin{{document}}\n"
        "\\noindent\\input{claims.tex}\n\\input{measures.tex}\n\\end{document}\n"
    )
    (tmp_path / "page.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        # Draft: all pages are set, and no file of them is written.
        ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
