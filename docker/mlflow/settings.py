"""Settings of the MLflow server, read from its environment and checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

LEAST = 12
"""Characters of a password."""
OF_DATABASE = "MLFLOW_DATABASE_PASSWORD"
ALWAYS = ("MLFLOW_ADMIN_PASSWORD", "MLFLOW_WRITER_PASSWORD", "MLFLOW_READER_PASSWORD", "MLFLOW_SECRET_KEY")
"""Secrets that every server needs."""
SECRETS = (*ALWAYS, OF_DATABASE)
"""Each may be given in a file instead: `NAME_FILE` is its path."""
NAME = re.compile(r"[a-z][a-z0-9_.-]*")
SQLITE = re.compile(r"sqlite:///[^@?]+")
DRIVERS = ("psycopg2", "psycopg")


class SettingsError(Exception):
    """A setting is missing or wrong: found, wanted, do."""


@dataclass(frozen=True)
class Account:
    name: str
    password: str = field(repr=False)
    admin: bool = False


@dataclass(frozen=True)
class Settings:
    """Settings of the server.

    Attributes:
        database: an address without a password. passwords: a line of libpq's password file, or nothing.
        hosts: what may stand in a Host header.
    """

    database: str
    passwords: str = field(repr=False)
    secret_key: str = field(repr=False)
    admin: Account
    writer: Account
    reader: Account
    artifacts: str
    hosts: str
    origins: str
    workers: int
    host: str
    port: int
    migrate: bool


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read and check all settings.

    Raises:
        SettingsError: one is missing or wrong.
    """
    told = {name: _secret(environment, name) for name in ALWAYS}
    admin, writer, reader = (
        Account(_name(environment, role), told[f"MLFLOW_{role.upper()}_PASSWORD"], admin=role == "admin")
        for role in ("admin", "writer", "reader")
    )
    if len({admin.name, writer.name, reader.name}) < 3:
        raise SettingsError("MLFLOW_*_USERNAME: found one name for two accounts; wanted three; change one")
    if len({admin.password, writer.password, reader.password}) < 3:
        raise SettingsError(
            "MLFLOW_*_PASSWORD: found one password for two accounts; wanted three, since whoever knows "
            "the reader's could write; change one"
        )
    database, passwords = _database(environment)
    return Settings(
        database=database,
        passwords=passwords,
        secret_key=told["MLFLOW_SECRET_KEY"],
        admin=admin,
        writer=writer,
        reader=reader,
        artifacts=environment.get("MLFLOW_ARTIFACTS_DESTINATION") or "/var/lib/mlflow",
        hosts=environment.get("MLFLOW_ALLOWED_HOSTS") or "mlflow:*,localhost,localhost:*,127.0.0.1:*",
        origins=environment.get("MLFLOW_ALLOWED_ORIGINS") or "",
        workers=_number(environment, "MLFLOW_SERVER_WORKERS", 4),
        host=environment.get("MLFLOW_LISTEN") or "0.0.0.0",  # noqa: S104  # a container's own interfaces
        port=_number(environment, "MLFLOW_LISTEN_PORT", 5000),
        migrate=(environment.get("MLFLOW_MIGRATE") or "no") == "yes",
    )


def _secret(environment: Mapping[str, str], name: str) -> str:
    value, path = environment.get(name, ""), environment.get(f"{name}_FILE", "")
    if value and path:
        raise SettingsError(f"{name}: found it and {name}_FILE; wanted one of them; unset the other")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise SettingsError(
                f"{name}_FILE: cannot read {path} ({error}); mount the secret there"
            ) from None
    if len(value) < LEAST:
        found = f"{len(value)} characters" if value else "nothing"
        raise SettingsError(
            f"{name}: found {found}; wanted at least {LEAST} characters; make them with: openssl rand -hex 24"
        )
    if not value.isascii() or not value.isprintable() or " " in value:
        raise SettingsError(f"{name}: found a blank or a character that is not ASCII; wanted none; change it")
    return value


def _name(environment: Mapping[str, str], role: str) -> str:
    variable = f"MLFLOW_{role.upper()}_USERNAME"
    name = environment.get(variable) or role
    if not NAME.fullmatch(name):
        raise SettingsError(f"{variable}: found {name!r}; wanted small letters, digits and _.-; change it")
    return name


def _number(environment: Mapping[str, str], name: str, usual: int) -> int:
    given = environment.get(name) or str(usual)
    if not given.isdecimal() or int(given) < 1:
        raise SettingsError(f"{name}: found {given!r}; wanted a whole number from 1 on; change it")
    return int(given)


def _database(environment: Mapping[str, str]) -> tuple[str, str]:
    """The address of the database without its password, and the line of a password file that has it.

    So the password is in no address that some library might print, and in no variable of the server.
    """
    # It may hold a password all the same, so that it is never repeated.
    if whole := environment.get("MLFLOW_DATABASE_URL"):
        if not SQLITE.fullmatch(whole):
            raise SettingsError(
                "MLFLOW_DATABASE_URL: found no file of sqlite; wanted sqlite:////PATH; "
                f"for PostgreSQL unset it, and give MLFLOW_DATABASE_HOST and {OF_DATABASE}"
            )
        if beside := [name for name in (OF_DATABASE, f"{OF_DATABASE}_FILE") if environment.get(name)]:
            raise SettingsError(
                f"{beside[0]}: found it beside MLFLOW_DATABASE_URL, a file that takes no password; "
                "wanted one of them; unset the other"
            )
        return whole, ""
    password = _secret(environment, OF_DATABASE)
    driver = environment.get("MLFLOW_DATABASE_DRIVER") or DRIVERS[0]
    if driver not in DRIVERS:
        raise SettingsError(f"MLFLOW_DATABASE_DRIVER: found {driver!r}; wanted {' or '.join(DRIVERS)}")
    host = environment.get("MLFLOW_DATABASE_HOST") or "postgres"
    port = _number(environment, "MLFLOW_DATABASE_PORT", 5432)
    name = environment.get("MLFLOW_DATABASE_NAME") or "mlflow"
    user = environment.get("MLFLOW_DATABASE_USER") or "mlflow"
    line = ":".join(re.sub(r"([:\\])", r"\\\1", part) for part in (host, str(port), name, user, password))
    # The driver is named: which one plain `postgresql://` means depends on the version of SQLAlchemy.
    return f"postgresql+{driver}://{quote(user)}@{host}:{port}/{quote(name)}", f"{line}\n"
