"""The compose file, and that it says the same as the Dockerfile, the settings and the pinned versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
TEXT = COMPOSE.read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "docker" / ".env.example").read_text(encoding="utf-8")
SECRETS = {
    *("RAY_AUTH_TOKEN", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_WRITER_PASSWORD", "MLFLOW_READER_PASSWORD"),
    *("MLFLOW_SECRET_KEY", "POSTGRES_PASSWORD"),
}
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_0-9]+)(?:(:?[-?])([^}]*))?\}")
SETTING = re.compile(r"^#?([A-Z][A-Z_0-9]*)=(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load(TEXT)["services"]
    return found


def test_it_is_a_compose_file() -> None:
    """A strict parser of the compose specification takes all of it."""
    from compose_spec import PyCompose

    # As compose itself gives it to a parser: with values in place of variables, and without anchors.
    whole = yaml.safe_load(VARIABLE.sub(lambda found: found[3] if found[2] == ":-" else "secret", TEXT))
    for service in whole["services"].values():
        service["cpus"] = float(service["cpus"])  # which this parser wants
    parsed = PyCompose.from_yaml(yaml.safe_dump(whole))
    assert set(parsed.service_names()) == {"head", "worker", "worker-gpu", "mlflow", "postgres"}
    whole["services"]["head"]["memlimit"] = "1g"
    with pytest.raises(ValueError, match="memlimit"):
        PyCompose.from_yaml(yaml.safe_dump(whole))


def test_what_is_waited_for_exists(services: dict[str, dict[str, dict[str, object]]]) -> None:
    """A service waits for services that exist, and that say when they are healthy."""
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert "healthcheck" in services[other], (name, other)
            assert how == {"condition": "service_healthy"}
        assert service["restart"] == "unless-stopped", name
        assert {"mem_limit", "cpus", "healthcheck"} <= set(service), name


def test_ports_are_for_this_machine(services: dict[str, dict[str, list[str]]]) -> None:
    """Every published port is on the loopback interface unless a setting says otherwise."""
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 2
    for port in published:
        assert re.match(r"\$\{[A-Z]+_BIND:-127\.0\.0\.1\}:", port), port


def test_secrets_have_no_default() -> None:
    """Without one of the secrets nothing starts, and the message says how to make it."""
    for name, how, text in VARIABLE.findall(TEXT):
        if name in SECRETS:
            assert how == ":?", name
            assert "openssl rand" in text, name
        else:
            assert how == ":-", name
    assert {name for name, _, _ in VARIABLE.findall(TEXT)} > SECRETS


def test_each_setting_is_explained() -> None:
    """The example and the compose file have the same settings and defaults; no secret has a value."""
    used = {name: text for name, how, text in VARIABLE.findall(TEXT) if how == ":-"}
    told = dict(SETTING.findall(EXAMPLE))
    assert {name: told[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")
    # Read by compose itself.
    own = {"COMPOSE_PROJECT_NAME": "stability-study", "COMPOSE_PROFILES": "cpu"}
    assert {name: value for name, value in told.items() if name not in SECRETS} == used | own


def test_workers_hold_only_rays_token(services: dict[str, dict[str, dict[str, object]]]) -> None:
    """Of all secrets a worker has the token, a head the writer's password too, and only MLflow the rest."""
    held = {
        name: {one for value in service["environment"].values() for one, _, _ in VARIABLE.findall(str(value))}
        & SECRETS
        for name, service in services.items()
    }
    assert held["worker"] == held["worker-gpu"] == {"RAY_AUTH_TOKEN"}
    assert held["head"] == {"RAY_AUTH_TOKEN", "MLFLOW_WRITER_PASSWORD"}
    assert held["mlflow"] == SECRETS - {"RAY_AUTH_TOKEN"}
    assert held["postgres"] == {"POSTGRES_PASSWORD"}


def test_networks_part_them(services: dict[str, dict[str, list[str]]]) -> None:
    """PostgreSQL is reached by MLflow alone, and MLflow by no worker."""
    joined = {name: set(service["networks"]) for name, service in services.items()}
    assert joined["postgres"] == {"database"}
    assert {name for name, networks in joined.items() if "database" in networks} == {"postgres", "mlflow"}
    assert joined["worker"] == joined["worker-gpu"] == {"ray"}
    assert not joined["worker"] & joined["mlflow"]
    assert yaml.safe_load(TEXT)["networks"]["database"] == {"internal": True}


def test_versions_agree() -> None:
    """One version of Python and of the package, each image pinned, and no command that ends others' Ray."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = re.search(r"python:(\d+\.\d+)-", DOCKERFILE)
    assert python is not None
    assert project["requires-python"].startswith(f">={python[1]}")
    assert set(re.findall(r"STUDY_VERSION:-([\d.]+)", TEXT)) == {project["version"]}
    for image in re.findall(r"^\s*image: (\S+)", TEXT, re.MULTILINE):
        assert ":" in image
        assert "latest" not in image
    assert "latest" not in DOCKERFILE
    assert "ray stop" not in TEXT + DOCKERFILE


def test_stages_exist(services: dict[str, dict[str, dict[str, str]]]) -> None:
    """Each target that is built is a stage of the Dockerfile, which runs as a user who is not root."""
    stages = re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE)
    wanted = {service["build"]["target"] for service in services.values() if "build" in service}
    assert wanted == {"worker", "service"}
    for target in wanted:
        assert target in stages
        stage = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
        assert "\nUSER study\n" in stage
    assert "--mount" not in DOCKERFILE
    assert "<<" not in DOCKERFILE


def test_ports_and_files_agree() -> None:
    """The server listens where its health is asked, and the image has what it starts."""
    assert "EXPOSE 5000" in DOCKERFILE
    assert "http://127.0.0.1:5000/health" in TEXT
    assert '"/opt/service/serve.py"' in DOCKERFILE
    assert (ROOT / "docker" / "mlflow" / "serve.py").exists()
    assert "--dashboard-port=8265" in TEXT
    assert ":8265/api/gcs_healthz" in TEXT
