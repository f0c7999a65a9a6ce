"""`make cluster`: everything that needs a Docker engine, with a table of each."""

from __future__ import annotations

import sys
import time

from tests.tools.cluster import listening, refused
from tests.tools.cluster.stack import missing, stack


def main() -> int:
    if why := missing():
        print(f"skipped: {why}")
        return 0
    began = time.monotonic()
    with stack() as one:
        print(f"up after {time.monotonic() - began:.0f} s")
        print("\n".join(listening.ports(one)))
        for service, found in listening.secrets_seen(one).items():
            print(service, found)
        tries = refused.all_of(one)
    for each in tries:
        print(f"{'ok   ' if each.right else 'WRONG'} {each.who} | {each.what} | {each.answered}")
    return 0 if all(each.right for each in tries) else 1


if __name__ == "__main__":
    sys.exit(main())
