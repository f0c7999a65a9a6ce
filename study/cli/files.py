"""Verbs that write what is stored as files: an export, a difference map, figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from study.cli.cluster import export_from, refuse_local
from study.cli.options import AllowOption, ClusterOption, HomeOption, JsonOption, SpecArgument
from study.cli.output import emit, end, out, say
from study.cli.stored import stored_analysis
from study.drawn import note_redrawn
from study.errors import UserError
from study.home import DEFAULT_HOME, Home
from study.report.amounts import amount
from study.report.pictures.on_demand import PANELS, draw_panels
from study.report.terminal.pasted import nothing_stored
from study.report.terminal.working import working
from trainers.naming import nearest


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Write to a folder of the user's choice.

    Raises:
        UserError: it is a file, or cannot be written.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--out {folder} is a file; give a folder")
        yield
    except OSError as error:
        raise UserError(
            f"--out {folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None


@contextmanager
def writing_pictures(folder: Path | None, home: Path, study: str, kind: str) -> Iterator[Path]:
    """Write to a folder of the user's choice, or to one among the study's exports.

    Raises:
        UserError: it cannot be written, or those exports are a link out of the home.
    """
    place = folder or Home(home).exports(study) / kind
    with writing(place), nullcontext() if folder else Home(home).writing(study):
        yield place


def export(
    context: typer.Context,
    spec: SpecArgument,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the export of another study.")] = False,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write cells, regions, claims, heatmaps and provenance as files."""
    if cluster is not None:
        refuse_local(context, ("home",))
        with writing(folder):
            raise typer.Exit(export_from(cluster, spec, allow, folder, as_json=as_json, force=force))
    analysis = stored_analysis(spec, home, allow)
    from study.report.export import export as write
    from study.report.export import refuse_other_study

    cells = amount(len(analysis.stored), "cell")
    with writing(folder):
        if not analysis.stored:
            raise UserError(nothing_stored(analysis.plan.spec.name, spec, home, allow or ()))
        if not force:
            refuse_other_study(folder, analysis.plan.spec.name)
        with working(f"analysing {cells}, drawing and writing files"):
            written = [str(path) for path in write(analysis, folder)]
    if as_json:
        emit(written)
    else:
        say(written)
    end(complete=analysis.complete)


def compare(
    spec: SpecArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A transform of the study, as its tables call it.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one; or the same, with --with.")],
    other: Annotated[
        str | None,
        typer.Option("--with", metavar="SPEC", help="The study that B is taken from; default: the same."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the difference map; default: in the study's exports."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the differences that include 0, too; --json always has them.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the paired differences of every measure between two transforms, and draw the difference map."""
    from study.comparison import compare as compared
    from study.report.pictures.difference_map import save_difference
    from study.report.plain.comparisons import comparison_values
    from study.report.terminal.comparison import comparison_table

    first = stored_analysis(spec, home, allow)
    second = first if other is None else stored_analysis(other, home, allow)
    with working(f"comparing {a} and {b}"):
        found = compared(first, a, second, b)
    pictures: list[Path] = []
    with writing_pictures(folder, home, first.plan.spec.name, "comparisons") as place:
        # Without a common seed there is nothing to draw, and no empty picture.
        for one in (one for one in found if one.seeds):
            with working(f"drawing the difference of {one.a} and {one.b}"):
                pictures += save_difference(one, place)
    confidence = first.plan.spec.region.confidence
    if as_json:
        emit(
            {
                "comparisons": [comparison_values(one, confidence) for one in found],
                "pictures": list(map(str, pictures)),
            }
        )
    else:
        for one in found:
            out.print(comparison_table(one, confidence, everything=everything))
        say(f"difference map: {path}" for path in pictures if path.suffix == ".png")
    end(complete=first.complete and second.complete)


def figures(
    spec: SpecArgument,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; default: in the study's exports.")
    ] = None,
    panel: Annotated[
        list[str] | None,
        typer.Option("--panel", help=f"What is drawn: {', '.join(PANELS)}; repeatable. Default: dynamics."),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            help="Of the cells or slices that are drawn; default: a published setting, or the best.",
        ),
    ] = None,
    weight_decay: Annotated[float | None, typer.Option("--weight-decay", help="Likewise.")] = None,
    width: Annotated[
        str, typer.Option("--width", help="one or two: as wide as one column of a paper, or as both.")
    ] = "two",
    title: Annotated[
        bool, typer.Option("--title/--no-title", help="Whether a picture says above what it is of.")
    ] = True,
    look: Annotated[
        str, typer.Option("--style", metavar="STYLE", help="A matplotlib style: its name, or a file.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what is asked for: what cells recorded in training, heatmaps, slices, tuning curves, measures."""
    chosen = panels_of(panel, width)
    from study.report.pictures.style import PictureStyle, settings_of

    settings_of(look)
    analysis = stored_analysis(spec, home, allow)
    with (
        writing_pictures(folder, home, analysis.plan.spec.name, "figures") as place,
        working(f"drawing what {amount(len(analysis.stored), 'cell')} recorded"),
    ):
        written, missing = draw_panels(
            analysis, place, chosen, PictureStyle(width, title, look), lr, weight_decay
        )
        if folder is None:
            note_redrawn(Home(home).exports(analysis.plan.spec.name), written)
    if as_json:
        emit({"figures": list(map(str, written)), "missing": missing})
    else:
        lines = [str(path) for path in written if path.suffix == ".png"]
        lines += [f"{name}: not drawn: it {why}" for name, why in missing.items()]
        say(lines)
    end(complete=analysis.complete)


def panels_of(panel: list[str] | None, width: str) -> list[str]:
    """The panels that are asked for, each once.

    Raises:
        UserError: there is no such panel or width.
    """
    chosen = list(dict.fromkeys(panel or ["dynamics"]))
    for one in chosen:
        if one not in PANELS:
            raise UserError(f"--panel {one}: unknown; known: {', '.join(PANELS)}{nearest(one, PANELS)}")
    if width not in ("one", "two"):
        raise UserError(f"--width {width}: unknown; wanted one or two")
    return chosen
