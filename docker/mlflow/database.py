"""The tables of the server's database, made or migrated before the server starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from settings import Account, SettingsError
from sqlalchemy import Connection, Engine, text

LOCK = 7370646
"""Which of PostgreSQL's advisory locks; any number that nobody else takes."""


def prepare(address: str, accounts: list[Account], *, migrate: bool) -> None:
    """Make what is missing: tables, accounts, and passwords that the settings have changed.

    Servers that start at once wait for each other.

    Args:
        migrate: whether tables of an older version may be changed, which cannot be undone.

    Raises:
        SettingsError: the tables are of another version.
    """
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
    from mlflow.store.db.utils import create_sqlalchemy_engine_with_retry

    engine = create_sqlalchemy_engine_with_retry(address)
    with _alone(engine):
        _tables(engine, migrate=migrate)
        users = SqlAlchemyStore()
        users.init_db(address)
        for account in accounts:
            _ensure(users, account)
        users.engine.dispose()
    engine.dispose()


def _tables(engine: Engine, *, migrate: bool) -> None:
    from mlflow.store.db import utils

    if utils._is_empty_database(engine):
        utils._initialize_tables(engine)
        return
    found, wanted = utils._get_schema_version(engine), utils._get_latest_schema_revision()
    if found == wanted:
        return
    if not migrate:
        raise SettingsError(
            f"the database has the tables of another version of MLflow (found {found}, wanted {wanted}). "
            "Changing them cannot be undone. Make a backup, set MLFLOW_MIGRATE=yes and start again"
        )
    utils._upgrade_db(engine)


def _ensure(users: object, account: Account) -> None:
    if not users.has_user(account.name):  # type: ignore[attr-defined]
        users.create_user(account.name, account.password, is_admin=account.admin)  # type: ignore[attr-defined]
        print(f"made the account {account.name}", flush=True)
        return
    if not users.authenticate_user(account.name, account.password):  # type: ignore[attr-defined]
        users.update_user(account.name, password=account.password)  # type: ignore[attr-defined]
        print(f"changed the password of {account.name}", flush=True)
    if users.get_user(account.name).is_admin != account.admin:  # type: ignore[attr-defined]
        users.update_user(account.name, is_admin=account.admin)  # type: ignore[attr-defined]


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    if engine.dialect.name != "postgresql":
        yield
        return
    connection: Connection
    with engine.connect() as connection:
        # Of the session and not of a transaction: it ends with the connection, also when this process dies.
        connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))
            connection.commit()
