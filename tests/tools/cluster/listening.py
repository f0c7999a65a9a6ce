"""What listens on which address of the host, and in which container a secret can be seen."""

from __future__ import annotations

from tests.tools.cluster.stack import SECRETS, Stack, run

SERVICES = ("head", "worker", "mlflow", "postgres")


def ports(one: Stack) -> list[str]:
    """Addresses of the host on which one of the stack's ports is open."""
    _, said = run(["ss", "-ltnH"])
    wanted = {one.settings["RAY_PORT"], one.settings["MLFLOW_PORT"]}
    found = {line.split()[3] for line in said.splitlines()}
    return sorted(address for address in found if address.rpartition(":")[2] in wanted)


def secrets_seen(one: Stack) -> dict[str, dict[str, list[str]]]:
    """For each service where each secret is: `inspect`, the `environ` or `cmdline` of a process, its log."""
    found: dict[str, dict[str, list[str]]] = {}
    for service in SERVICES:
        container = one.container(service)
        _, inspected = run(["docker", "inspect", container])
        _, logged = run(["docker", "logs", container])
        places = {"inspect": inspected, "log": logged}
        for kind in ("environ", "cmdline"):
            # As the container's own user: root in it may not look. The text is searched here, since a search
            # inside would have the secret on its own command line, and what is started so has all variables.
            told = ["docker", "exec", container, "env", "-i", "sh", "-c", f"cat /proc/[0-9]*/{kind}"]
            places[kind] = run(told, errors="replace")[1]
        for name in SECRETS:
            kinds = [kind for kind, text in places.items() if one.settings[name] in text]
            if kinds:
                found.setdefault(service, {})[name] = kinds
    return found
