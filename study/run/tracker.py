"""The tracker that a command writes to, from what the user gave."""

from __future__ import annotations

from pathlib import Path

from study.errors import UserError
from study.home import Home
from tracking import conceal

FILE = "@"


def address_of(given: str | None, home: Home) -> str:
    """The address of an MLflow server or database; passwords in it are hidden in errors from now on.

    Args:
        given: an address, `@` and the path of a file that holds one, or None for the home's own database.

    Raises:
        UserError: there is no such file, or nothing in it.
    """
    if not given:
        return home.mlflow_uri
    address = given
    if given.startswith(FILE):
        path = Path(given.removeprefix(FILE)).expanduser()
        try:
            address = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise UserError(
                f"--tracking-uri {given}: {path} cannot be read ({why}); wanted a file with an address in it"
            ) from None
        if len(address.split()) != 1:
            raise UserError(
                f"--tracking-uri {given}: {path} has {len(address.split())} words; "
                "wanted one, the address of an MLflow server"
            )
    conceal(address)
    return address
