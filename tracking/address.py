"""Addresses of trackers without the passwords in them: for the ledger, for people, and in others' words."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote

USER = re.compile(r"(?<=://)[^/?#\s'\"<>\\]*@")
"""The name and password before a host, in an address or in a text that holds one."""
CLEAR = re.compile(
    r"[a-z][a-z0-9+.-]*://"
    r"([^/?#\s'\"<>\\]*|(localhost|[0-9]+(\.[0-9]+){3}|\[[0-9a-f:.]+\])(:[0-9]+)?[/?].*)",
    re.IGNORECASE,
)
"""What may stand before the last `@`: name and password, or a host that cannot be taken for a name."""
PATH = re.compile(r"((sqlite(\+\w+)?|file):(///|/(?!/))|/(?!/)|\.{1,2}/)", re.IGNORECASE)
"""How the address of a file begins, which has neither name nor password and may have `@` anywhere."""
QUERIED = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/?#@:\s'\"<>\\]*(/[^?#@\s'\"<>\\]*)?"
    r"\?[a-z][a-z0-9_.-]*=[^=&;#\s'\"<>\\]*(&[a-z][a-z0-9_.-]*=[^=&;#\s'\"<>\\]*)*",
    re.IGNORECASE,
)
"""A host without name and password, and settings, whose values may have `@` anywhere."""
TOKENS = ("http", "https")
"""Schemes of which a name without a password is a secret: it is a token. Of databases it is a user's."""
FORBIDDEN = re.compile(r"[#\s'\"<>\\]")
"""What ends an address in a text, so that the rest of a password would be taken for words."""
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
MOST_WORDS = 400
"""Characters of a fault that are told: a path of the user's, and behind it what to do."""
_secrets: set[str] = set()


def identity(address: str) -> str:
    """Which tracker an address means, whoever asks it with whatever password.

    The same for an address with a password, with another one, and with none.

    Example:
        >>> identity("https://me:my-password@mlflow.example.org/team")
        'https://mlflow.example.org/team'
    """
    before, _, after = _parts(address)
    return without_passwords(before + after)


def doubtful(address: str) -> bool:
    """Whether it cannot be told where the password in an address ends: what looks like a path may be of it.

    Example:
        >>> doubtful("https://me:2024/spring@host:5000"), doubtful("https://me:2024%2Fspring@host:5000")
        (True, False)
    """
    if secret := QUERY.search(address):
        query = address[secret.start() + 1 :]
        if (
            FORBIDDEN.search(query)
            or ";" in query
            or not all(part.find("=") > 0 for part in query.split("&"))
        ):
            return True
    if PATH.match(address) or "@" not in address:
        return False
    # The `@` of a secret may end a password that has all that stands before it.
    if QUERIED.fullmatch(address) and not any("@" in one.group() for one in QUERY.finditer(address)):
        return False
    return not CLEAR.fullmatch(address.rpartition("@")[0])


def shown(address: str) -> str:
    """An address for people, without anything that may be a password.

    Example:
        >>> shown("https://me:2024/spring@host:5000")
        'https://***@host:5000'
    """
    before, user, after = _parts(address)
    return without_passwords(f"{before}{HIDDEN}@{after}" if user else before + after)


def without_passwords(text: str) -> str:
    """A text in which the passwords of all addresses are hidden; it may be JSON and stays so.

    Example:
        >>> without_passwords("cannot reach postgresql://me:my-password@db/mlflow?sslpassword=x")
        'cannot reach postgresql://***@db/mlflow?sslpassword=***'
    """
    return QUERY.sub(rf"\1{HIDDEN}", USER.sub(f"{HIDDEN}@", text))


def secrets(address: str) -> list[str]:
    """What of an address nobody else may know: its password, or the token that it has in place of one.

    Example:
        >>> secrets("https://my-token@host"), secrets("postgresql://me@db/mlflow")
        (['my-token'], [])
    """
    found = [one.group().partition("=")[2] for one in QUERY.finditer(address)]
    if doubtful(address):
        found += [address[one.end(1) :] for one in QUERY.finditer(address)]
    before, user, _ = _parts(address)
    name, colon, password = user.partition(":")
    if colon:
        found.append(password)
    elif doubtful(address) or before.lower().removesuffix("://") in TOKENS:
        found.append(name)
    return [one for one in found if one]


def conceal(address: str) -> None:
    """Remember the passwords of an address, so that `redacted` finds them in whatever words."""
    _secrets.update(form for one in secrets(address) for form in (one, unquote(one), quote(one, safe="")))


def redacted(text: str) -> str:
    """The words of an error or a log without passwords: those of addresses, and any that was concealed."""
    text = without_passwords(text)
    known = {*_secrets, *(os.environ.get(name, "") for name in VARIABLES)}
    # The longest first: one may be part of another.
    for secret in sorted((one for one in known if len(one) >= LEAST), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def words_of(error: Exception) -> str:
    """What a tracker's fault says to people: its kind and its first line, without passwords.

    Example:
        >>> words_of(OSError("no answer of http://me:my-password@host\\nand how it came to that"))
        'OSError: no answer of http://***@host'
    """
    first = next(iter(str(error).splitlines()), "")
    # Hidden before it is cut, while a password can still be recognised.
    return f"{type(error).__name__}: {redacted(first)[:MOST_WORDS]}"


def _parts(address: str) -> tuple[str, str, str]:
    """What stands before the name and password of an address, these, and what stands after their `@`.

    Of a doubtful address everything up to the last `@` counts as a password, and so does a doubtful query.
    """
    if not doubtful(address):
        if user := USER.search(address):
            return address[: user.start()], user.group()[:-1], address[user.end() :]
        return address, "", ""
    head, found, after = address.rpartition("@")
    if secret := QUERY.search(address):
        if found and secret.start() < len(head):  # the `@` may be of that secret, and it of a password
            head, after = address, ""
        else:
            after = f"{address[len(head) + len(found) : secret.start()]}{secret.group(1)}{HIDDEN}"
    scheme, mark, name = head.partition("://") if "://" in head else ("", "", head)
    return scheme + mark, name, after
