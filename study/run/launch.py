"""A launch: the cells that the spec asks for, less those that are stored, trained; then everything shown."""

from __future__ import annotations

import logging
import shutil
import time
from contextlib import closing

from rich.console import Console

from study.analysis import Analysis
from study.home import Home
from study.launch_result import Launch
from study.plan.cells import make_plan, settings
from study.plan.changes import refuse_other_meaning
from study.run.data import fingerprints_of_data
from study.run.driver import Training, stopped_like_ctrl_c
from study.run.progress import Display
from study.run.sync import conclude, mirrored, runs_of
from study.spec.model import StudySpec
from tracking import EVIDENCE

log = logging.getLogger(__name__)


def launch(
    spec: StudySpec,
    home: Home,
    console: Console,
    *,
    here: bool = False,
    address: str | None = None,
    tracking_uri: str | None = None,
) -> Launch:
    """Train what is missing, store it, show it in MLflow, analyse it and write the exports.

    Args:
        here: train in this process instead of on Ray's workers.
        address: an existing Ray cluster.
        tracking_uri: an MLflow server, or the home's own database.

    Raises:
        UserError: the spec cannot be run, stored cells of the study have another meaning, another process
            launches it, or the home cannot be used, and nothing was changed. Or no machine can hold a worker,
            and no cell was trained.
        PoolError: Ray cannot be reached, or it stopped; what finished is stored.
        LedgerError: the home can no longer be written (a full disk, say); what was stored is whole.
    """
    started, uri = time.monotonic(), tracking_uri or home.mlflow_uri
    console.print(f"loading {', '.join({setting.name: None for setting in settings(spec)})}", highlight=False)
    prints = fingerprints_of_data(spec)
    plan = make_plan(spec, prints)
    home.prepare()
    log.info("%d cells planned, home %s, tracker %s", len(plan.cells), home.root, tracking_uri or "its own")
    with home.hold(spec.name), closing(home.open_ledger()) as ledger:
        refuse_other_meaning(plan, ledger.meanings(spec.name))
        ledger.note_fingerprints(spec.name, prints)
        ledger.note_study(spec.name, spec.canonical(), plan.meanings)
        stored = plan.own(ledger.outcomes(plan.settings))
        shown = [key for key, outcome in stored.items() if outcome in EVIDENCE]
        interrupted = False
        with mirrored(plan, shown, ledger, home, uri) as mirror, Display(console, stored, mirror) as display:
            training = Training(plan, home, ledger, mirror, display, here=here, address=address)
            try:
                training.run()
                with stopped_like_ctrl_c():
                    mirror.finish(display.refresh)
            except KeyboardInterrupt:
                interrupted = True
        analysis = Analysis(plan, ledger.get(plan.keys), ledger.runs(spec.name, uri))
        if analysis.complete:
            shutil.rmtree(training.checkpoints.folder, ignore_errors=True)
        # Whoever stops a launch wants the terminal back. The next one draws everything.
        trouble = mirror.trouble
        if not interrupted:
            trouble = conclude(analysis, home, uri, console, known_trouble=trouble)
        return Launch(
            analysis,
            trained=display.trained,
            failures=tuple(failure.reason for failure in training.failures),
            interrupted=interrupted,
            exports=home.exports(spec.name),
            seconds=time.monotonic() - started,
            mlflow_runs=runs_of(plan, ledger, uri),
            trouble=trouble,
            own_tracker=uri == home.mlflow_uri,
        )
