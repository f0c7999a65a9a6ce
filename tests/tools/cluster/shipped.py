"""`quickstart` launched from outside of the cluster, beside the same launch on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from study.spec.read import shipped_text
from tests.tools.cluster.stack import Stack, run
from tests.tools.cluster.there import exported


def same_as_here(one: Stack, folder: Path, name: str = "quickstart") -> bool:
    """Whether both give the same numbers for each cell, and MLflow has all of them."""
    spec, out = folder / f"{name}.yaml", folder / "there"
    spec.write_text(shipped_text(name))
    began = time.monotonic()
    code, said = run(one.guest("launch", spec), 1800)
    print(f"{name} on the cluster: exit {code} after {time.monotonic() - began:.0f} s")
    if code != 0:
        print(said)
        return False
    run(one.guest("export", spec, out=out), 600)
    there, here = exported(out), exported(launched_here(folder, name))
    equal = sum(there.get(key) == row for key, row in here.items())
    client = one.tracker()
    experiment = client.get_experiment_by_name(name)
    runs, token = 0, None
    while True:
        page = client.search_runs(
            [experiment.experiment_id], "tags.stability_study = 'cell'", max_results=1000, page_token=token
        )
        runs, token = runs + len(page), page.token
        if not token:
            break
    print(f"{equal} of {len(here)} cells are equal to a launch here; MLflow has {runs}")
    return equal == len(here) == len(there) == runs


def launched_here(folder: Path, name: str) -> Path:
    """The export of a launch on this machine, without a cluster."""
    home, out = folder / "home", folder / "here"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    for words in (("launch", name, "--here"), ("export", name, "--out", str(out))):
        subprocess.run(
            [sys.executable, "-m", "study.cli", *words, "--home", str(home)],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**clean, "OMP_NUM_THREADS": "1"},
        )
    return out
