"""What to install before the package itself: its dependencies and those of the extras that are named.

Made for the Dockerfile: a layer that depends on `pyproject.toml` alone is kept when the code changes.
"""

import sys
import tomllib
from pathlib import Path

BUILD = "build"
"""In place of an extra: what the package is built with."""


def required(project: Path, *parts: str) -> list[str]:
    """The requirements of a project.

    Args:
        parts: `project` for its dependencies, `build` for what it is built with, or the name of an extra.
    """
    told = tomllib.loads(project.read_text(encoding="utf-8"))
    groups = {
        "project": told["project"]["dependencies"],
        BUILD: told["build-system"]["requires"],
        **told["project"]["optional-dependencies"],
    }
    return [line for part in parts for line in groups[part]]


if __name__ == "__main__":
    print("\n".join(required(Path(sys.argv[1]), *sys.argv[2:])))
