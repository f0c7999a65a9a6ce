"""What a plan, a status, a sync and a launch counted, as JSON has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from study.plan.cells import settings
from study.plan.preview import Preview
from study.stored import Shown, Status

# For type checkers alone: `Launch` brings numpy and scipy, which take longer to load than `study plan --json`
# takes to answer.
if TYPE_CHECKING:
    from study.launch_result import Launch


def preview_values(seen: Preview) -> dict[str, Any]:
    """What a launch would train."""
    spec = seen.plan.spec
    return {
        "study": spec.name,
        # Settings that differ in optimizer or condition alone have one name.
        "workloads": list(dict.fromkeys(setting.name for setting in settings(spec))),
        "conditions": [one.label for one in spec.all_conditions if one.label],
        "transforms": [transform.technical_name for transform in spec.transforms],
        "learning_rates": len(spec.lr),
        "weight_decays": len(spec.weight_decay),
        "seeds": list(spec.seeds),
        "design": spec.design,
        "cells": len(seen.plan.cells),
        "stored": seen.stored,
        "to_train": seen.missing,
        "to_train_at_most": seen.most,
        "looks": list(spec.verdicts.looks),
        "tiles": seen.tiles,
        "workers": seen.workers,
        "estimated_seconds": seen.seconds,
        "estimate_is_measured": seen.measured,
        "estimated_seconds_at_most": seen.most_seconds,
        "estimated_bytes_at_most": seen.most_bytes,
        "free_bytes": seen.free_bytes,
        "tiles_are_known": seen.tiles_known,
        "not_asked": seen.not_asked,
    }


def status_values(found: Status) -> dict[str, Any]:
    """How many cells of a study ended how."""
    return {
        "study": found.study,
        "cells": found.cells,
        **found.counts,
        "complete": found.complete,
        "not_asked": found.not_asked,
    }


def shown_values(shown: Shown) -> dict[str, Any]:
    """How much of a study its tracker has."""
    return {
        "study": shown.study,
        "stored": shown.stored,
        "mlflow_runs": shown.runs,
        "mlflow_trouble": shown.trouble,
        "complete": shown.complete,
    }


def launch_values(ended: Launch) -> dict[str, Any]:
    """How a launch ended, without its claims."""
    return {
        "study": ended.analysis.plan.spec.name,
        "cells": len(ended.analysis.plan.cells),
        **ended.analysis.counts,
        "trained_now": ended.trained,
        "interrupted": ended.interrupted,
        "failures": list(ended.failures),
        "mlflow_runs": ended.mlflow_runs,
        "mlflow_trouble": ended.trouble,
        "exports": str(ended.exports),
        "seconds": round(ended.seconds, 2),
    }
