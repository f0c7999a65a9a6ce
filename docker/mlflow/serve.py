"""Starts the MLflow server of a team: checks the settings, prepares the database, and becomes the server."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from database import prepare
from settings import SECRETS, Settings, SettingsError, read_settings

CACHED = 60
"""How long a password that was right is not computed again [s]."""


def private_file(folder: Path, name: str, text: str) -> str:
    """Write a file that only this user may read, from its first moment on."""
    path = folder / name
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return str(path)


def authentication(settings: Settings) -> str:
    """The file in which MLflow looks for its users and for who says which of them asks."""
    # MLflow reads it by configparser, for which % has a meaning.
    database = settings.database.replace("%", "%%")
    return f"""[mlflow]
default_permission = READ
database_uri = {database}
admin_username = {settings.admin.name}
authorization_function = readonly:authenticate
auth_cache_ttl_seconds = {CACHED}
"""


def environment(settings: Settings, folder: Path) -> dict[str, str]:
    """The environment of the server: of the secrets it has only the key that signs forms."""
    told = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in SECRETS}
    return told | {
        "PYTHONPATH": str(Path(__file__).resolve().parent),  # where `readonly` is
        "MLFLOW_BACKEND_STORE_URI": settings.database,
        "MLFLOW_AUTH_CONFIG_PATH": private_file(folder, "auth.ini", authentication(settings)),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": settings.secret_key,
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_READER_USERNAME": settings.reader.name,
        "MLFLOW_ARTIFACTS_DESTINATION": settings.artifacts,
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": settings.hosts,
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": settings.origins,
        # Jobs run code for judges of language models, which no study has.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def main() -> None:
    """Read the settings, prepare the database, and become the server."""
    try:
        settings = read_settings(os.environ)
        folder = Path(tempfile.mkdtemp(prefix="mlflow-", dir=os.environ.get("MLFLOW_PRIVATE_FOLDER")))
        if settings.passwords:
            os.environ["PGPASSFILE"] = private_file(folder, "pgpass", settings.passwords)
        prepare(
            settings.database, [settings.admin, settings.writer, settings.reader], migrate=settings.migrate
        )
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    server = ["--host", settings.host, "--port", str(settings.port), "--workers", str(settings.workers)]
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", *server]
    os.execve(command[0], command, environment(settings, folder))  # noqa: S606  # becomes the server


if __name__ == "__main__":
    main()
