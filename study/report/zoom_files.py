"""A zoom as files: the picture, its cells and its numbers, each written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from study.file_names import partial
from study.report.export import write
from study.report.pictures.saving import FORMATS, save
from study.report.pictures.zoom_picture import Titled, draw
from study.report.plain.zooms import zoom_values
from study.zoom_result import ZoomResult


def progress_picture(found: ZoomResult, folder: Path) -> Path:
    """The picture as far as it is known, in place of the last one."""
    titled = Titled(found.study, found.window)
    (path,) = save(draw(found.map, titled), folder, found.window.name, kinds=FORMATS[:1])
    return path


def zoom_files(found: ZoomResult, folder: Path) -> list[Path]:
    """Every file of a zoom that is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    titled = Titled(found.study, found.window, found.boxes)
    written = save(draw(found.map, titled), folder, found.window.name)
    # Not `with_suffix`: names hold dots.
    table, text, values = (folder / f"{found.window.name}.{kind}" for kind in ("parquet", "csv", "json"))
    cells = found.cells
    cells.to_parquet(partial(table), index=False)
    cells.to_csv(partial(text), index=False)
    write(values, zoom_values(found))
    for path in (table, text, values):
        os.replace(partial(path), path)
    return [*written, table, text, values]
