"""Addresses of trackers without the passwords in them: for the ledger, for people, and in others' words."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote, urlsplit

USER = re.compile(r"(?<=://)[^/?#\s'\"<>\\]*@")
"""The name and password before a host, in an address or in a text that holds one."""
WIDE = re.compile(r"(?<=://)\S*@")
"""The same where a password has characters that an address cannot have."""
QUERY = re.compile(
    r"([?&;][^=&;\s'\"\\]*(?:pass|pwd|secret|token|credential|odbc_connect)[^=&;\s'\"\\]*=)[^&;#\s'\"<>\\]*",
    re.IGNORECASE,
)
"""A setting of an address that is, or holds, a password."""
VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Where MLflow itself looks for what an address does not say."""
HIDDEN = "***"
LEAST = 4
"""Characters of a password that is looked for in texts by itself: a shorter one is part of any word."""
_secrets: set[str] = set()


def identity(address: str) -> str:
    """Which tracker an address means, whoever asks it with whatever password.

    The same for an address with a password, with another one, and with none.

    Example:
        >>> identity("https://me:my-password@mlflow.example.org/team")
        'https://mlflow.example.org/team'
    """
    return without_passwords(_user(address).sub("", address))


def without_passwords(text: str) -> str:
    """A text in which the passwords of all addresses are hidden; it may be JSON and stays so.

    Example:
        >>> without_passwords("cannot reach postgresql://me:my-password@db/mlflow?sslpassword=x")
        'cannot reach postgresql://***@db/mlflow?sslpassword=***'
    """
    return QUERY.sub(rf"\1{HIDDEN}", USER.sub(f"{HIDDEN}@", text))


def conceal(address: str) -> None:
    """Remember the passwords of an address, so that `redacted` finds them in whatever words."""
    found = [one.group().partition("=")[2] for one in QUERY.finditer(address)]
    if user := _user(address).search(address):
        name, colon, password = user.group().removesuffix("@").partition(":")
        found.append(password if colon else name)
    _secrets.update(form for one in found for form in (one, unquote(one), quote(one, safe="")))


def redacted(text: str) -> str:
    """The words of an error or a log without passwords: those of addresses, and any that was concealed."""
    text = without_passwords(text)
    known = {*_secrets, *(os.environ.get(name, "") for name in VARIABLES)}
    # The longest first: one may be part of another.
    for secret in sorted((one for one in known if len(one) >= LEAST), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def _user(address: str) -> re.Pattern[str]:
    """What finds the name and password of an address: with `/` in it, a password looks like a path."""
    try:
        _ = urlsplit(address).port
    except ValueError:
        return WIDE
    return USER
