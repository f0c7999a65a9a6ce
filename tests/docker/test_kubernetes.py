"""The files for Kubernetes: what a cluster would refuse, drop without a word, or wait for without end."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml

from study.cli.command import app
from study.spec.read import read_spec

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "kubernetes"
SCHEMA = ROOT / ".." / "shared" / "kubernetes" / "rayjobs.v1.json.gz"
FILES = ("namespace", "network", "mlflow", "storage", "rayjob", "secrets.example")
PART = "stability-study/part"
KUBERNETES = "1.33"
Document = dict[str, Any]


def documents(name: str) -> list[Document]:
    return list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


@pytest.fixture
def job() -> Document:
    (found,) = documents("rayjob")
    return found


def everything() -> list[Document]:
    return [document for name in FILES for document in documents(name)]


def nested(value: Any, key: str) -> Iterator[Any]:
    """All values of a key, at any depth."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for one in value.values():
            yield from nested(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from nested(one, key)


def pods(found: list[Document]) -> Iterator[Document]:
    """Every template of a pod."""
    for document in found:
        for key in ("template", "submitterPodTemplate"):
            yield from nested(document, key)


def pinned(package: str) -> str:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^{package}==(\S+)$", text, re.MULTILINE)
    return str(found)


def closed(schema: Any) -> Any:
    """A schema that refuses what Kubernetes would drop without a word."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture(scope="module")
def schema() -> Any:
    if not SCHEMA.exists():
        pytest.skip("no copy of KubeRay's schema beside the repository (../shared/kubernetes)")
    found = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    # Of these the schema of a custom resource never says what is in them.
    found["properties"] |= {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": "RayJob"}}
    found["properties"]["metadata"] = {"type": "object"}
    return closed(found)


def test_core_files_hold_to_their_schemas() -> None:
    """Kubernetes knows every kind and every field of the files that are not KubeRay's."""
    for document in everything():
        if document["kind"] != "RayJob":
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    broken = documents("mlflow")[1]
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_rayjob_holds_to_the_operators_schema(job: Document, schema: Any) -> None:
    """KubeRay knows every field of the RayJob; an unknown one is found at any depth."""
    checker = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in checker.iter_errors(job)] == []
    broken = deepcopy(job)
    broken["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["envs"] = []
    assert ["envs" in error.message for error in checker.iter_errors(broken)] == [True]


def refusals(job: Document) -> list[str]:
    """What the operator's own checks would say, which no schema holds."""
    spec = job["spec"]
    cluster, mode = spec["rayClusterSpec"], spec.get("submissionMode", "K8sJobMode")
    groups, head = cluster["workerGroupSpecs"], cluster["headGroupSpec"]
    said = []
    if len(job["metadata"]["name"]) > 47 or not re.fullmatch(
        "[a-z]([a-z0-9-]*[a-z0-9])?", job["metadata"]["name"]
    ):
        said.append("name")
    auth = cluster.get("authOptions", {})
    version = tuple(int(part) for part in cluster.get("rayVersion", "0.0").split("."))
    if auth.get("mode") == "token" and version < (2, 52):
        said.append("rayVersion")
    if auth.get("enableK8sTokenAuth"):
        said.append("enableK8sTokenAuth")
    if spec.get("suspend") and (not spec.get("shutdownAfterJobFinishes") or "clusterSelector" in spec):
        said.append("suspend")
    if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
        said.append("ttlSecondsAfterFinished")
    if mode == "SidecarMode" and {"submitterPodTemplate", "submitterConfig", "clusterSelector"} & set(spec):
        said.append("SidecarMode")
    if spec.get("backoffLimit") and (mode == "InteractiveMode" or "clusterSelector" in spec):
        said.append("backoffLimit")
    if "upgradeStrategy" in cluster:
        said.append("upgradeStrategy")
    if {"networkPolicy", "tlsOptions", "historyServerOptions"} & set(cluster):
        said.append("feature gate")
    for group in (head, *groups):
        if "num-cpus" in group.get("rayStartParams", {}) and "resources" in group:
            said.append("resources")
        policy = group["template"]["spec"].get("restartPolicy", "Never")
        if cluster.get("autoscalerOptions", {}).get("version") == "v2" and policy != "Never":
            said.append("restartPolicy")
    for group in groups:
        least, most = group.get("minReplicas"), group.get("maxReplicas")
        if least is None or most is None or not least <= group.get("replicas", least) <= most:
            said.append("replicas")
    return said


def _put(*path: Any, to: Any) -> Callable[[Document], None]:
    def change(job: Document) -> None:
        place: Any = job
        for one in path[:-1]:
            place = place[one]
        place[path[-1]] = to

    return change


CLUSTER = ("spec", "rayClusterSpec")
BROKEN = {
    "name": _put("metadata", "name", to="s" * 48),
    "rayVersion": _put(*CLUSTER, "rayVersion", to="2.51.0"),
    "enableK8sTokenAuth": _put(*CLUSTER, "authOptions", "enableK8sTokenAuth", to=True),
    "SidecarMode": _put("spec", "submissionMode", to="SidecarMode"),
    "backoffLimit": _put("spec", "submissionMode", to="InteractiveMode"),
    "ttlSecondsAfterFinished": _put("spec", "shutdownAfterJobFinishes", to=False),
    "upgradeStrategy": _put(*CLUSTER, "upgradeStrategy", to={}),
    "feature gate": _put(*CLUSTER, "networkPolicy", to={}),
    "resources": _put(*CLUSTER, "headGroupSpec", "resources", to={"CPU": "1"}),
    "restartPolicy": _put(*CLUSTER, "headGroupSpec", "template", "spec", "restartPolicy", to="Always"),
    "replicas": _put(*CLUSTER, "workerGroupSpecs", 0, "maxReplicas", to=0),
}


def test_operator_accepts_the_rayjob(job: Document) -> None:
    """The RayJob breaks none of the rules that the operator has beside its schema."""
    assert refusals(job) == []


@pytest.mark.parametrize("rule", BROKEN)
def test_operators_rules_are_noticed(job: Document, rule: str) -> None:
    """Each of the operator's rules is found broken where it is."""
    BROKEN[rule](job)
    assert refusals(job) == [rule]


def dangling(found: list[Document]) -> set[str]:
    """Names of Secrets, claims, ConfigMaps, mounts and labels that are used and nowhere made."""
    made = {(one["kind"], one["metadata"]["name"]) for one in found}
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    made |= {("ConfigMap", one["name"]) for one in kustomization["configMapGenerator"]}
    keys = {one["metadata"]["name"]: set(one["stringData"]) for one in found if one["kind"] == "Secret"}
    labels = {pod["metadata"]["labels"][PART] for pod in pods(found)}
    used = set()
    for one in nested(found, "secretKeyRef"):
        used.add(("Secret", one["name"]))
        if one["key"] not in keys.get(one["name"], ()):
            used.add(("key", one["key"]))
    used |= {("Secret", one["secretName"]) for one in nested(found, "secret")}
    used |= {("Secret", one["secretName"]) for one in nested(found, "authOptions")}
    used |= {("PersistentVolumeClaim", one["claimName"]) for one in nested(found, "persistentVolumeClaim")}
    used |= {("ConfigMap", one["name"]) for one in nested(found, "configMap")}
    for selector in (
        *nested(found, "matchLabels"),
        *(one["spec"]["selector"] for one in found if one["kind"] == "Service"),
    ):
        if PART in selector and selector[PART] not in labels:
            used.add(("label", selector[PART]))
    for pod in pods(found):
        volumes = {one["name"] for one in pod["spec"].get("volumes", ())} | {"data"}
        for mounts in nested(pod["spec"]["containers"], "volumeMounts"):
            used |= {("volume", one["name"]) for one in mounts if one["name"] not in volumes}
    return {f"{kind} {name}" for kind, name in used - made}


def test_files_refer_to_what_is_there() -> None:
    """Every Secret and its keys, claim, ConfigMap, volume and label that a file names is made by another."""
    found = everything()
    assert dangling(found) == set()
    for name in ("ray-token", "study-home", "mlflow-writer", "mlflow-artifacts"):
        without = [one for one in found if one["metadata"]["name"] != name]
        assert any(name in one for one in dangling(without)), name
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    assert sorted(listed["resources"]) == sorted(f"{name}.yaml" for name in FILES if "secrets" not in name)
    for generator in listed["configMapGenerator"]:
        assert all((FOLDER / file).is_file() for file in generator["files"])


def test_secrets_have_no_value() -> None:
    """What is in the repository opens nothing."""
    for secret in documents("secrets.example"):
        assert {key: value for key, value in secret["stringData"].items() if value} in (
            {},
            {"username": "writer"},
        )


def test_only_the_heads_container_may_write_to_mlflow(job: Document) -> None:
    """Workers and the submitter are given no password, no token of Kubernetes and no home."""
    cluster = job["spec"]["rayClusterSpec"]
    others = [group["template"] for group in cluster["workerGroupSpecs"]] + [
        job["spec"]["submitterPodTemplate"]
    ]
    assert len(list(nested(cluster["headGroupSpec"], "secretKeyRef"))) == 2
    for pod in others:
        assert [*nested(pod, "secretKeyRef"), *nested(pod, "secret")] == []
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert "study-home" not in {one["claimName"] for one in nested(pod, "persistentVolumeClaim")}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_no_pod_can_become_root() -> None:
    """Each pod has a user of its own, no privileges, and a file system that it cannot change."""
    found = list(pods(everything()))
    assert len(found) == 6
    for pod in found:
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}


def test_entrypoint_is_a_command_of_study(job: Document, tmp_path: Path) -> None:
    """The entrypoint parses as `study` does it, and its spec is one that a launch reads."""
    program, verb, *words = shlex.split(job["spec"]["entrypoint"])
    assert program == "study"
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    given = command.make_context(verb, words).params
    assert (str(given["spec"]), given["until_decided"]) == ("/specs/study.yaml", True)
    assert read_spec(str(FOLDER / "study.yaml")).name == "my-study"


def test_versions_and_ports_agree(job: Document) -> None:
    """Ray's version is the pinned one, and ports, images and folders are those of the compose file."""
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == pinned("ray")
    images = set(nested([*documents("mlflow"), job], "image"))
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    own = {f"stability-study-{image}:{version[1]}" for image in ("worker", "service")}
    assert own < images
    compose = ROOT / "docker" / "compose.yaml"
    if not compose.exists():
        pytest.skip("docker/compose.yaml is not there to compare with")
    services = yaml.safe_load(compose.read_text(encoding="utf-8"))["services"]
    named = {re.sub(r"\$\{\w+:-(.+?)\}", r"\1", one["image"]) for one in services.values()}
    assert images == named
    environment = {
        one["name"]: one.get("value")
        for one in cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert environment["MLFLOW_TRACKING_URI"] == services["head"]["environment"]["MLFLOW_TRACKING_URI"]
    data = services["head"]["environment"]["STABILITY_STUDY_DATA"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        mounts = group["template"]["spec"]["containers"][0]["volumeMounts"]
        assert data in {one["mountPath"] for one in mounts}
    told = set(services["mlflow"]["environment"])
    for one in documents("mlflow")[-1]["spec"]["template"]["spec"]["containers"][0]["env"]:
        assert one["name"].removesuffix("_FILE") in told
