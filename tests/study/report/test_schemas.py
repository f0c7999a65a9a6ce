"""What the exported files hold is what their schemas say, with the unit of every number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pandas
import pytest

from study import stored
from study.analysis import Analysis
from study.file_names import EXPORTS
from study.frames import DYNAMICS, SKIPPED
from study.home import Home
from study.report.cells_file import ABOUT, write_cells
from study.report.export import provenance
from study.report.plain.claims import claims
from study.report.plain.regions import regions
from study.report.schema import FILES, FOLDER, VERSION, columns, text_of, units
from study.spec.conditions import VARIABLE
from study.spec.read import read_spec
from study.spec.strict_json import strict_json
from tests.conftest import TINY
from tests.fabricated import WIDE, fabricate, hill
from tracking import EXPORT_TYPES, EXPORTED

LOOKS = "verdicts: {looks: [3, 4], indifference: {ratio: 0.5, share: 0.5, loss: 0.5, accuracy: 0.5}}\n"
STUDIES = {
    "grid": TINY,
    "decided": WIDE + LOOKS,
    "pending": TINY,
    "diverged": TINY,
    "one transform": WIDE.replace("[none, unit_norm, autoscale]", "[unit_norm]"),
    "conditions": TINY.replace("unit_norm]", "{name: clip_norm, max_norm: .inf}]")
    + "conditions: {loss_scale: [0.01, 1], precision: [float32, float16]}\n",
    "edges and dynamics": WIDE.replace("points: 2}", "points: 2, dynamics: 2}") + "design: edges\n",
}
"""Kinds of studies that have other keys than others."""
every_study = pytest.mark.parametrize("kind", STUDIES)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The analysis of each kind of study, made once."""

    @cache
    def of(kind: str) -> Analysis:
        folder = tmp_path_factory.mktemp("study")
        spec = folder / "tiny.yaml"
        spec.write_text(STUDIES[kind])
        fabricate(
            spec,
            folder / "home",
            (lambda cell: None) if kind == "diverged" else hill,
            skip=lambda cell: kind == "pending" and cell.seed == 2 and cell.lr > 1e-2,
        )
        found = stored.read(read_spec(str(spec)), Home(folder / "home"))
        if kind != "one transform":
            vars(found)["importances"] = []  # fANOVA's forests cost more than all the rest
        return found

    return of


def strict(schema: Any) -> Any:
    """The same schema, which refuses keys that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        found.setdefault("additionalProperties", False)
    return found


def check(name: str, content: Any) -> None:
    """Refuse what a schema does not allow, unknown keys too."""
    schema = strict(json.loads(text_of(name)))
    jsonschema.validate(json.loads(strict_json(content)), schema, jsonschema.Draft202012Validator)


@every_study
def test_json_is_as_its_schema_says(kind: str, analysed: Any) -> None:
    """Every key of every exported JSON is in its schema, with its type."""
    analysis = analysed(kind)
    check("regions", list(regions(analysis)))
    check("claims", claims(analysis))
    check("provenance", provenance(analysis))


@every_study
def test_rows_are_as_their_schema_says(kind: str, analysed: Any) -> None:
    """Every column of `cells.*` is in the schema, in its order, and so is every value."""
    cells = analysed(kind).cells
    assert list(cells.columns) == [name for name in columns() if name in cells.columns]
    rows = cells.astype(object).where(cells.notna(), None).to_dict("records")
    check("cells", rows[0])
    schema = json.loads(text_of("cells"))
    validator = jsonschema.Draft202012Validator(schema)
    assert not [error.message for row in rows for error in validator.iter_errors(row)]


def test_a_verdict_and_a_missing_number_are_among_the_studies(analysed: Any) -> None:
    """The schemas are held against decided claims with other thresholds, open ones, bounds and gaps."""
    found = [one for kind in STUDIES for one in claims(analysed(kind))]
    assert any(one["specification"] for one in found)
    assert any(one["takes"] for one in found)
    assert any(one["estimate"] is None for one in found)
    measured = [one for kind in STUDIES for one in regions(analysed(kind))]
    assert {one["design"]["design"] for one in measured} == {"grid", "edges"}
    assert any(one["divergence_share"] is None for one in measured)
    assert any("condition" in one for one in measured)


def test_a_wrong_file_is_refused(analysed: Any) -> None:
    """The schemas refuse a lost key, a number as text and a verdict that there is not."""
    found = claims(analysed("grid"))
    for change in ({"verdict": "true"}, {"estimate": "1"}, {"n_seeds": 1.5}):
        with pytest.raises(jsonschema.ValidationError):
            check("claims", [found[0] | change])
    with pytest.raises(jsonschema.ValidationError):
        check("claims", [{key: value for key, value in found[0].items() if key != "reason"}])
    with pytest.raises(jsonschema.ValidationError):
        check("claims", [found[0] | {"surprise": 1}])


def numbers(schema: Any, units_above: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every schema of a number, and whether it or the list around it says a unit."""
    if isinstance(schema, list):
        for one in schema:
            yield from numbers(one)
    elif isinstance(schema, dict):
        known = units_above or "x-unit" in schema
        kinds = schema.get("type", ())
        if {"number", "integer"} & set([kinds] if isinstance(kinds, str) else kinds):
            yield schema, known
        for key, value in schema.items():
            if key in ("properties", "$defs"):
                for one in value.values():
                    yield from numbers(one)
            elif key in ("items", "additionalProperties", "oneOf"):
                yield from numbers(value, known and key == "items")


@pytest.mark.parametrize("name", sorted(set(FILES.values())))
def test_every_number_has_a_unit(name: str) -> None:
    """No schema is wrong itself, each has its version, and every number in it a unit."""
    schema = json.loads(text_of(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["x-version"] == VERSION
    assert schema["$id"] == f"urn:stability-study:{name}:{VERSION}"
    found = list(numbers(schema))
    assert found
    assert not [one for one, known in found if not known]


def test_columns_are_those_of_the_records() -> None:
    """The schema of cells has the exported columns of a record, then what only some studies have."""
    names = list(columns())
    assert names[: len(EXPORTED)] == list(EXPORTED)
    assert set(names[len(EXPORTED) :]) == {*VARIABLE, *DYNAMICS, *SKIPPED} - {*EXPORTED}
    for name, kind in EXPORT_TYPES.items():
        assert columns()[name]["type"] == [{"float64": "number", "Int64": "integer"}[kind], "null"], name
    assert json.loads(text_of("cells"))["required"] == list(EXPORTED)


def test_every_schema_is_exported() -> None:
    """Each exported JSON and table has a schema, which is exported too."""
    named = {f"{FOLDER}/{name}.schema.json" for name in FILES.values()}
    assert named == {name for name in EXPORTS if name.startswith(FOLDER)}
    data = {name for name in EXPORTS if name.endswith((".json", ".csv", ".parquet"))} - named
    assert data == set(FILES)


def test_parquet_tells_units_and_version(analysed: Any, tmp_path: Path) -> None:
    """`cells.parquet` alone says what its columns are, and what stands behind them."""
    from pyarrow import parquet

    analysis, path = analysed("grid"), tmp_path / "cells.parquet"
    write_cells(analysis.cells, path, provenance(analysis))
    about = pandas.read_parquet(path).attrs[ABOUT]
    assert about["study"] == "tiny"
    assert about["schema"]["version"] == VERSION
    assert about["seeds"] == [0, 1, 2]
    assert about["schema"]["units"]["metric_final"] == "accuracy"
    assert about["schema"]["units"]["loss_final"] == "loss units"
    fields = {field.name: field.metadata or {} for field in parquet.read_schema(path)}
    assert fields["seconds"][b"unit"] == b"s"
    assert b"unit" not in fields["transform"]
    assert all(one[b"description"] for one in fields.values())
    assert not analysis.cells.attrs


def test_parquet_and_csv_hold_the_same(analysed: Any, tmp_path: Path) -> None:
    """The columns and values of the tables are those of the analysis, as they were before they had units."""
    analysis, path = analysed("pending"), tmp_path / "cells.parquet"
    write_cells(analysis.cells, path, provenance(analysis))
    pandas.testing.assert_frame_equal(pandas.read_parquet(path), analysis.cells)
    head = next(csv.reader(io.StringIO(analysis.cells.to_csv(index=False))))
    assert head == list(EXPORTED)


def test_metrics_of_several_workloads_keep_their_column() -> None:
    """Where workloads differ in their metric, the unit points at the column that names it."""
    assert units(["metric_final", "lr", "key"], ["accuracy", "mse"]) == {
        "metric_final": "as metric_name says",
        "lr": "dimensionless",
    }
