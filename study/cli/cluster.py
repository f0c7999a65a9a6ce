"""What verbs do with `--cluster`, and the two verbs that need one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from study.cli.options import AllowOption, ClusterOption, SpecArgument
from study.cli.output import INCOMPLETE, WRONG_INPUT, emit, out, say, visible
from study.errors import UserError

if TYPE_CHECKING:
    from study.cluster.bundle import Bundle
    from study.cluster.jobs import Jobs, RayJob

ELSEWHERE = ("home", "here", "address", "tracking_uri")
"""Options that say what the head of a cluster knows by itself."""
NOT_FOUND = 127
"""With which a shell ends that does not find a command."""


def reached(address: str) -> Jobs:
    """The jobs of a cluster.

    Raises:
        UserError: wrong address or token.
        PoolError: nobody answers, or not Ray.
    """
    from study.run.ray_environment import set_environment
    from study.run.ray_token import keep_token_private, use_found_token

    set_environment(alone=False)
    keep_token_private(make=False)
    use_found_token()
    try:
        # Not before the environment is set: Ray reads it when it is imported.
        from study.cluster.jobs import Jobs
    except ImportError as error:
        raise UserError(
            f"--cluster needs {error.name}, which is not installed; "
            "install it with: pip install 'stability-study[cluster]'"
        ) from None
    return Jobs(address)


def bundled(spec: str, allow: list[str] | None, *, runs: bool = False) -> Bundle:
    """The bundle of a spec of this machine.

    Args:
        runs: try the user's own code before it is sent, as a launch does.
    """
    from study.cluster.bundle import bundle_of
    from study.spec.read import read_spec
    from study.spec.user_modules import allowed_packages

    return bundle_of(spec, read_spec(spec, allow=allow, runs=runs), allowed_packages(allow))


def refuse_local(context: typer.Context, names: Iterable[str] = ELSEWHERE) -> None:
    """Refuse options that would be ignored. Those of the environment are meant for launches on this machine.

    Raises:
        UserError: one was given.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            given = context.get_parameter_source("cluster")
            named = " (named by STABILITY_STUDY_CLUSTER)" if given and given.name == "ENVIRONMENT" else ""
            raise UserError(
                f"found {option} together with --cluster{named}, whose head has its own; "
                "leave one of them out"
            )


def launch_there(
    address: str,
    spec: str,
    allow: list[str] | None,
    console: Console,
    *,
    until_decided: bool,
    as_json: bool,
) -> int:
    """Launch on a cluster and follow it until it ends; the exit code of the launch there."""
    bundle = bundled(spec, allow, runs=True)
    jobs = reached(address)
    from study.cluster.remote import ask, launch

    try:
        ended = launch(jobs, bundle, teller(console), shower(console), until_decided=until_decided)
    except KeyboardInterrupt:
        again = pasted("launch", spec, address, allow)
        more = " --until-decided" if until_decided else ""
        say(
            [
                # It may have been interrupted before it was launched.
                f"what was launched on {address} goes on; follow it again with: {again}{more}",
                f"stop it with: {pasted('stop', spec, address, allow)}",
            ],
            console,
        )
        raise
    code = exit_code(ended)
    if as_json:
        status = document(ask(jobs, bundle, "status", "--json")[0].text)
        emit({"id": ended.id, "cluster": address, "exit_code": code, "status": status})
    else:
        brought = f"{pasted('export', spec, address, allow)} --out FOLDER"
        say([f"its files lie on the head; bring them here with: {brought}"], console)
    return code


def exit_code(ended: RayJob) -> int:
    """The exit code of a launch that ended, and 3 for one that was stopped.

    Raises:
        PoolError: it did not end by itself, or never began.
    """
    from study.errors import PoolError

    if ended.stopped:
        return INCOMPLETE
    if ended.exit_code == NOT_FOUND:
        raise PoolError(
            f"{ended.id}: the head has no command `study`; install stability-study[cluster] there"
        )
    if ended.exit_code not in (0, 1, WRONG_INPUT, INCOMPLETE):
        said = " ".join(ended.message.split())[:300]
        raise PoolError(
            f"{ended.id} was ended by its cluster ({said}); what finished is stored, so run the same command "
            "again"
        )
    return ended.exit_code


def document(text: str) -> dict[str, Any]:
    """The JSON object that a verb printed on the head.

    Raises:
        PoolError: it is none.
    """
    import json

    from study.errors import PoolError

    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PoolError("the head's answer is no JSON; does it have another version of this package?")
    return found


def status_there(address: str, spec: str, allow: list[str] | None, *, as_json: bool) -> int:
    """Print the status of a study on a cluster; its exit code."""
    bundle = bundled(spec, allow)
    jobs = reached(address)
    from study.cluster.remote import ask

    running = [job.id for job in jobs.running(bundle.study)]
    found, code = ask(jobs, bundle, "status", *(["--json"] if as_json else []))
    if as_json:
        emit(document(found.text) | {"launches": running})
    else:
        say([visible(found.text.rstrip()), visible(f"launches that run: {', '.join(running) or 'none'}")])
    return code


def export_from(
    address: str, spec: str, allow: list[str] | None, folder: Path, *, as_json: bool, force: bool
) -> int:
    """Write the files of a study on a cluster here; the exit code of the export there."""
    from study.report.export import refuse_other_study

    bundle = bundled(spec, allow)
    if not force:
        refuse_other_study(folder, bundle.study)
    jobs = reached(address)
    from study.cluster.remote import ask

    found, code = ask(jobs, bundle, "export", "--json", files=True)
    written = [str(path) for path in found.write(folder)]
    if as_json:
        emit(written)
    else:
        say(written)
    return code


def stop(spec: SpecArgument, cluster: ClusterOption = None, allow: AllowOption = None) -> None:
    """Stop a launch on a cluster; what finished is kept."""
    bundle = bundled(spec, allow)
    jobs = reached(wanted(cluster, "stop"))
    from study.cluster.remote import stop as stopped

    if not stopped(jobs, bundle.study, teller(out)):
        say([f"{jobs.address} runs no launch of {bundle.study}"])


def logs(
    spec: SpecArgument,
    cluster: ClusterOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the launch ends.")] = False,
    allow: AllowOption = None,
) -> None:
    """Print what a launch on a cluster has printed."""
    bundle = bundled(spec, allow)
    jobs = reached(wanted(cluster, "logs"))
    from study.cluster.remote import follow as followed
    from study.cluster.remote import last

    job = last(jobs, bundle)
    if follow:
        followed(jobs, job.id, teller(out), shower(out), job.begins)
    else:
        shower(out)(jobs.text(job.id)[job.begins :])


def wanted(cluster: str | None, verb: str) -> str:
    """The address that the user gave.

    Raises:
        UserError: none.
    """
    if cluster is None:
        raise UserError(
            f"study {verb} is for launches on a cluster; name it with --cluster http://HOST:8265 "
            "(a launch on this machine is stopped with Ctrl-C, and its logs lie in the home)"
        )
    return cluster


def teller(console: Console) -> Any:
    """Prints lines."""
    return lambda text: say([visible(text)], console)


def shower(console: Console) -> Any:
    """Prints pieces of a log. What a terminal would obey is shown as its code: anybody may print it."""

    def show(piece: str) -> None:
        from tracking import redacted

        console.file.write(visible(redacted(piece)))
        console.file.flush()

    return show


def pasted(verb: str, spec: str, address: str, allow: Iterable[str] | None) -> str:
    """Another command about the same study on the same cluster."""
    from study.report.terminal.pasted import suggested

    return suggested(verb, spec, "--cluster", address, allow=allow or ())
