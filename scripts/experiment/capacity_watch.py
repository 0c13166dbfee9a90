"""Say how many application servers this load balancer sends users to, whenever that changes; runs on it.

    capacity_watch.py SECONDS    a line «TIME COUNT» at the beginning and at each change

An application server serves where it is open to users and up; its two slots count once. Ends after SECONDS, or when
there is a file `stop` in the current directory. Looks four times a second, at HAProxy's own table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAUSE = 0.25


def serving(servers: Mapping[str, Mapping[str, Any]]) -> int:
    """How many sites have a server that users are sent to."""
    open_ = (name for name, facts in servers.items() if facts["state"] == "ready" and facts["up"] and facts["weight"])
    return len({name.rpartition("-")[0] for name in open_})


def main() -> int:
    """Watch until it is time to stop."""
    sys.path.insert(0, "/usr/local/lib/evenkeel")  # where the modules of the tools are installed
    import evenkeel_haproxy as haproxy  # noqa: PLC0415 - is there on load balancers only

    last, end = -1, time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end and not Path("stop").exists():
        try:
            count = serving(haproxy.servers())
        except haproxy.RefusedError:
            count = 0
        if count != last:
            print(f"{time.time():.3f} {count}", flush=True)
            last = count
        time.sleep(PAUSE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
