"""Pictures are those of the study, whatever the user has set for pictures of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from study.report.pictures.style import style
from tests.fabricated import fabricate, hill

SETTINGS = """
backend: svg
font.size: 20
font.family: serif
axes.titlesize: 30
axes.facecolor: yellow
figure.facecolor: pink
lines.linewidth: 5
savefig.bbox: tight
savefig.facecolor: green
svg.fonttype: path
pdf.fonttype: 3
"""
"""Of a user who likes large and colourful pictures."""
DRAW = """
import hashlib, sys
from pathlib import Path
from study.comparison import compare
from study.home import Home
from study.report.pictures.difference_map import save_difference
from study.report.pictures.heatmaps import draw_heatmaps
from study.report.pictures.plots import draw_plot
from study.report.pictures.training_figures import draw_figures
from study.spec.read import read_spec
from study.stored import read

analysis, out = read(read_spec(sys.argv[1]), Home(Path(sys.argv[2]))), Path(sys.argv[3])
(found,) = compare(analysis, "none", analysis, "unit_norm")
written = draw_heatmaps(analysis, out)[0] + draw_plot(analysis, out, "forest")[0]
written += save_difference(found, out) + draw_figures(analysis, out)[0]
for path in written:
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


def test_a_users_settings_change_no_picture(tiny: Path, tmp_path: Path) -> None:
    """Every kind of picture has the same bytes in every format, with a matplotlibrc and without one."""
    home, settings = tmp_path / "home", tmp_path / "matplotlibrc"
    fabricate(tiny, home, hill)
    (tmp_path / "none").touch()
    settings.write_text(SETTINGS)
    found = []
    for file in (tmp_path / "none", settings):
        words = [sys.executable, "-c", DRAW, str(tiny), str(home), str(tmp_path / f"out-{file.name}")]
        environment = {**os.environ, "MATPLOTLIBRC": str(file)}
        done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True, timeout=120)
        found.append(done.stdout.splitlines())
    assert len(found[0]) == 15
    assert found[0] == found[1]


def test_a_users_own_pictures_stay_theirs() -> None:
    """After drawing, what the process has set for its own pictures is set again, and its backend always."""
    from matplotlib import rc_context, rcParams

    with rc_context({"font.size": 20.0, "svg.fonttype": "path"}):
        backend = rcParams._get("backend")
        with style("salt"):
            assert (rcParams["font.size"], rcParams["svg.fonttype"]) == (7.0, "none")
            assert rcParams["svg.hashsalt"] == "salt"
            assert rcParams._get("backend") is backend
        assert (rcParams["font.size"], rcParams["svg.fonttype"]) == (20.0, "path")
