"""What Ray reads from the environment when it is imported."""

from __future__ import annotations

import os


def set_environment(*, alone: bool) -> None:
    """Set what Ray reads from the environment when it is imported; what the user has set stays.

    Args:
        alone: Ray is started on this machine only.
    """
    settings = {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # one record per cell is enough
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C reaches us
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of data begin where the launch began
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    if alone:
        # Wherever clusters are enabled, Ray replaces the loopback address by the machine's own. It then
        # listens on every interface, where an open port lets anybody run code.
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    for name, value in settings.items():
        os.environ.setdefault(name, value)
