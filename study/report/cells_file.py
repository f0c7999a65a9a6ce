"""`cells.parquet`: the table of cells, with units, schema version and provenance inside of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.report.schema import columns

if TYPE_CHECKING:
    from pandas import DataFrame

ABOUT = "stability_study"
"""The key of what the file says of itself, in `DataFrame.attrs`."""
TOLD = ("seeds", "trained_by", "analysed_with", "exported_at", "schema")
"""Parts of the provenance that the file repeats, so that it can be understood where it lies alone."""


def write_cells(cells: DataFrame, path: Path, behind: Mapping[str, Any]) -> None:
    """Write the table.

    Each column's unit and description are its Arrow metadata. `pandas.read_parquet(…).attrs` has the rest.

    Args:
        behind: what `provenance.json` holds.
    """
    import pyarrow as pa

    # A copy: the table that Python users see has no attributes, which pandas would copy at every step.
    told = cells.copy(deep=False)
    told.attrs = {ABOUT: {"study": behind["spec"]["name"], **{name: behind[name] for name in TOLD}}}
    plain = pa.Schema.from_pandas(told, preserve_index=False)
    units = behind["schema"]["units"]
    fields = []
    for field in plain:
        about = {"description": columns().get(field.name, {}).get("description", "")}
        if field.name in units:
            about["unit"] = units[field.name]
        fields.append(field.with_metadata(about))
    told.to_parquet(path, index=False, schema=pa.schema(fields, metadata=plain.metadata))
