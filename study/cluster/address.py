"""Addresses of clusters, and in words why one of them does not answer."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests

from study.errors import UserError


def check_address(address: str) -> str:
    """The address of a dashboard without a trailing slash.

    Raises:
        UserError: it is none, or has a password in it.
    """
    # By hand: with `/` or a blank in a password, what is before the `@` is no part that a parser knows.
    _, found, host = address.rpartition("@")
    if found:
        raise UserError(
            f"--cluster ***@{host}: found a name or password; a cluster is protected by Ray's token; "
            "set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH"
        )
    try:
        parts = urlsplit(address)
        # Asking for the port is what checks it.
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    start, more = address.partition("?")[0].partition("#")[0], "?" in address or "#" in address
    if not right or more or not address.isprintable() or " " in address:
        raise UserError(
            # What comes after may be a secret.
            f"--cluster {start}{'?***' if more else ''}: wanted the address of a Ray dashboard, such as "
            "http://HOST:8265"
        )
    return address.rstrip("/")


def token_words(address: str, said: str) -> str:
    """What to do about a token, from Ray's words or the status of its answer."""
    wrong = "403" in said or "invalid" in said.lower()
    found = "found another one" if wrong else "found none"
    do = "set RAY_AUTH_TOKEN to the cluster's token, or RAY_AUTH_TOKEN_PATH to a file that holds it"
    return f"{address} asks for the token of its Ray cluster: {found}; {do}"


def not_ray(address: str) -> str:
    """Something else answers."""
    return (
        f"{address}: what answers there has no jobs of Ray's; wanted the address of a dashboard, such as "
        "http://HOST:8265, whose head has ray[default] installed"
    )


def cause(error: Exception, patience: float) -> str:
    """The cause in a few words, out of errors that wrap each other.

    Args:
        patience: how long an answer was waited for [s].
    """
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer in {patience:g} s"
    return type(error).__name__
