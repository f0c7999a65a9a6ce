"""Where a launch trains, what shows it, and how far it goes, as the user chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """What a launch or a zoom takes beside its spec and its home.

    Attributes:
        here: train in this process instead of on Ray's workers.
        address: an existing Ray cluster; None starts one on this machine.
        tracking_uri: an MLflow server; None takes the home's own database.
        until_decided: add seeds look by look, until every claim is decided, futile or at the cap.
    """

    here: bool = False
    address: str | None = None
    tracking_uri: str | None = None
    until_decided: bool = False


DEFAULT_OPTIONS = LaunchOptions()
