"""Whether a Ray cluster asks for a token. Ray itself only finds out by failing, after seconds."""

from __future__ import annotations

import os
import socket

REPLY = 2.0
"""How long a port may take to answer [s]."""
REFUSED = b"InvalidAuthToken"
ANSWERED = b"grpc-status"
DATA, HEADERS, SETTINGS = 0, 1, 4
"""Kinds of frames of HTTP/2."""
END_OF_STREAM, END_OF_HEADERS = 1, 4
QUESTION = {
    b":method": b"POST",
    b":scheme": b"http",
    b":path": b"/ray.rpc.NodeInfoGcsService/CheckAlive",
    b":authority": b"ray",
    b"content-type": b"application/grpc",
    b"te": b"trailers",
}
"""The headers of a call of gRPC that every client makes first, without a token."""


def asks_for_token(address: str) -> bool | None:
    """Whether the cluster at HOST:PORT refuses those who send no token; None where that cannot be told."""
    host, _, port = address.rpartition(":")
    if "/" in address or not port.isdecimal() or os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
        return None
    said = b""
    for place in _places(host.strip("[]")):
        try:
            said = _answer(place, int(port))
        except (OSError, OverflowError, UnicodeError):
            continue
        break
    if REFUSED in said:
        return True
    return False if ANSWERED in said else None


def _places(host: str) -> list[str]:
    if host not in ("localhost", "127.0.0.1", "::1"):
        return [host]
    # Ray takes the machine's own address for these. Nothing is sent: connecting UDP only chooses a route.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("8.8.8.8", 53))
            return [str(route.getsockname()[0]), host]
        except OSError:
            return [host]


def _answer(host: str, port: int) -> bytes:
    """What is answered to the question, up to the status of the call."""
    headers = b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in QUESTION.items()
    )
    said = b""
    with socket.create_connection((host, port), timeout=REPLY) as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(SETTINGS, 0, 0, b"")
            + _frame(HEADERS, END_OF_HEADERS, 1, headers)
            # An empty message: one byte says that it is not compressed, four say its length.
            + _frame(DATA, END_OF_STREAM, 1, bytes(5))
        )
        # The reason comes behind the status, in the same frame, which has about 125 bytes.
        while ANSWERED not in said and len(said) < 2**16:
            if not (piece := connection.recv(2**12)):
                break
            said += piece
    return said


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
