"""The token with which processes of this user reach this user's Ray clusters."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path

from study.run.token_question import asks_for_token

OTHERS = stat.S_IRWXG | stat.S_IRWXO
GIVEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Where Ray looks before it looks at the file."""


def use_found_token(address: str | None = None) -> bool:
    """Have Ray send this user's token, where there is one and the user has not said otherwise.

    For a cluster that is named by its address, Ray itself sends none and is refused, although every cluster
    that this user starts asks for it.

    Args:
        address: of a cluster that may ask for none. Its workers then have none to send, and a launch that
            wants one from them trains nothing.

    Returns:
        Whether this was switched on here.
    """
    if os.environ.get("RAY_AUTH_MODE") or not (any(map(os.environ.get, GIVEN)) or own_token().exists()):
        return False
    if address is not None and asks_for_token(address) is False:
        return False
    os.environ["RAY_AUTH_MODE"] = "token"
    return True


def own_token() -> Path:
    """Where Ray keeps the token of a user."""
    return Path.home() / ".ray" / "auth_token"


def keep_token_private(*, make: bool = True) -> None:
    """Let nobody but this user read Ray's token; say what it is where there is none yet.

    Ray itself makes the file for everybody to read. Whoever has the token may run code on these clusters.

    Args:
        make: a cluster is started here. For one that runs elsewhere, a new token would be a wrong one.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token" or any(map(os.environ.get, GIVEN)):
        return
    path = own_token()
    if not make and not path.exists():
        return
    # A folder that cannot be written is for Ray to complain about, if it needs the token at all.
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            # Made with its mode: between a file and its chmod somebody could read it.
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        except FileExistsError:
            mode = path.stat().st_mode
            if mode & OTHERS:
                path.chmod(stat.S_IMODE(mode) & ~OTHERS)
            return
        words = (
            "made the password of your Ray clusters, which only you can read; other machines of one cluster"
        )
        print(f"{path}: {words} need the same", file=sys.stderr)
