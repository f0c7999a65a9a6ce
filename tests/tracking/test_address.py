"""Passwords of trackers: in no ledger and in no words."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tracking import Ledger, conceal, doubtful, identity, redacted, shown, without_passwords

PASSWORD = "k3pt-to-mys3lf"
ADDRESSES = {
    f"http://user:{PASSWORD}@127.0.0.1:5000": "http://127.0.0.1:5000",
    f"https://{PASSWORD}@host/team": "https://host/team",
    f"http://user:{PASSWORD}/with@signs@host:80/x": "http://host:80/x",
    f"postgresql+psycopg://user:{PASSWORD}@host:5432/db": "postgresql+psycopg://host:5432/db",
    f"postgresql://host/db?user=me&password={PASSWORD}": "postgresql://host/db?user=me&password=***",
    f"mssql://?odbc_connect=PWD%3D{PASSWORD}%3B": "mssql://?odbc_connect=***",
    f"sqlite+pysqlcipher://:{PASSWORD}@/file.db": "sqlite+pysqlcipher:///file.db",
    "sqlite:////home/me@work/mlflow.db": "sqlite:////home/me@work/mlflow.db",
    "http://127.0.0.1:5000/a@b": "http://127.0.0.1:5000/a@b",
    "http://[::1]:5000": "http://[::1]:5000",
    "https://host/x?user=a@b&team=c@d": "https://host/x?user=a@b&team=c@d",
    f"https://host/x?user=a@b&token={PASSWORD}": "https://host/x?user=a@b&token=***",
    "databricks": "databricks",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_identity_has_no_password(address: str) -> None:
    """The identity of a tracker is its address without name and password, and its own identity."""
    assert identity(address) == ADDRESSES[address]
    assert identity(identity(address)) == identity(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://me:2024/{}@host:5000",
        "http://me:2024/{}@host:5000/team",
        "http://me.name:{}/x@host",
        "http://me:a {}@host",
        "http://me:{}#x@host",
        "http://me:a?{}@host",
        'http://me:a"{}@host',
        "http://me:{}\\x@host",
        "me:{}@host:5000",
        "//me:{}@host",
        "sqlite+pysqlcipher://:{}/x@/file.db",
        "postgresql://host/db?password=a {}",
        "postgresql://host/db?password=a#{}",
        "postgresql://host/db?password=a&{}",
        "postgresql://host/db?password=a@{}",
        "postgresql://host/db?password=a;b={}",
        "postgresql://me:{}@host/db?password=a&{}",
        "http://me:{}?password=a/b@host",
        "http://me:{}/x?a=b@host",
        "http://{}/x?a@host",
        "https://host/x?user=a@b&password=a@{}",
    ],
)
def test_no_part_of_a_password_is_taken_for_a_path(address: str) -> None:
    """An unescaped `/`, `#`, `?`, quote or blank of a password is found, and no part of it is shown."""
    address = address.replace("{}", PASSWORD)
    assert doubtful(address)
    assert PASSWORD not in identity(address) + shown(address)
    assert identity(identity(address)) == identity(address)
    conceal(address)
    assert PASSWORD not in redacted(f"InvalidURL: {address}")


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_as_it_should_be_is_not_doubted(address: str) -> None:
    """Escaped passwords and paths of files are clear, and of hosts those that cannot be names."""
    assert doubtful(address) == ("/with@signs" in address)
    assert PASSWORD not in shown(address)


def test_words_of_libraries_have_no_password() -> None:
    """Addresses within errors lose theirs, JSON stays JSON, and a password alone is hidden once known."""
    words = f"API request to http://user:{PASSWORD}@host/api failed (a@b), 0.25 s"
    assert redacted(words) == "API request to http://***@host/api failed (a@b), 0.25 s"
    assert without_passwords(f'["x?password={PASSWORD}\\"", 1]') == '["x?password=***\\"", 1]'
    conceal("http://user:p%40ss%2Fword@host")
    assert redacted("login failed for 'p@ss/word' and p%40ss%2Fword") == "login failed for '***' and ***"


def test_a_name_alone_is_a_token_or_a_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's is hidden everywhere, and a database's in its address alone: it may be any word."""
    monkeypatch.setattr("tracking.address._secrets", set())
    conceal("postgresql://mlflow@db/mlflow")
    words = "MLflow UI: /home/me/mlflow.db, pip install mlflow; postgresql://mlflow@db/mlflow"
    assert redacted(words) == words.replace("mlflow@db", "***@db")
    conceal(f"HTTPS://{PASSWORD}@host")
    assert redacted(f"401 for {PASSWORD}") == "401 for ***"


def test_mlflows_own_variables_are_hidden_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that comes from the environment is in no words either, and the environment keeps it."""
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert redacted(f"401 for {PASSWORD}") == "401 for ***"


def test_a_ledger_never_has_a_password(tmp_path: Path) -> None:
    """A tracker is noted without its password, and found with that, with another one and with none."""
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.note_runs("study", f"http://user:{PASSWORD}@host", {"k0": "r0"})
        for address in (f"http://user:{PASSWORD}@host", "http://other:one@host", "http://host"):
            assert ledger.runs("study", address) == {"k0": "r0"}
        assert written(tmp_path) == []
        ledger.forget_runs("study", "http://host", ["k0"])
        assert ledger.runs("study", f"http://user:{PASSWORD}@host") == {}


def test_an_older_ledger_is_cleaned_when_it_is_opened(tmp_path: Path) -> None:
    """No byte of the password is left in any file, its runs stay its runs, and its mode is 0600."""
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(path)):
        pass
    path.chmod(0o644)
    with closing(sqlite3.connect(path)) as connection, connection:
        tracker = f"http://user:{PASSWORD}@host"
        rows = [("study", tracker, f"k{k}", f"r{k}") for k in range(500)]
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO runs VALUES ('study', 'http://host', 'k0', 'r0')")
        # Deleted rows stay in the file until it is written afresh.
        connection.execute("DELETE FROM runs WHERE key > 'k4'")
    assert written(tmp_path) != []
    with closing(Ledger(path)) as ledger:
        assert written(tmp_path) == []
        kept = {f"k{k}": f"r{k}" for k in range(500) if f"k{k}" <= "k4"}
        assert ledger.runs("study", tracker) == ledger.runs("study", "http://host") == kept
    assert path.stat().st_mode & 0o777 == 0o600


def written(folder: Path) -> list[str]:
    """Files in which the password can be read."""
    return [path.name for path in folder.iterdir() if PASSWORD.encode() in path.read_bytes()]
