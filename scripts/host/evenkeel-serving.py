#!/usr/bin/python3
"""Wait until the service serves: every load balancer, and the service's name, answer a page with 200.

    evenkeel-serving SECONDS PATH NAME ADDRESS [ADDRESS ...]

NAME is resolved as any client of this host would; each ADDRESS (a load balancer) is asked with NAME as the Host
header. Says every ten seconds what is still missing; exits 1 with one sentence after SECONDS. Standard library only.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Sequence


def status(address: str, host: str, path: str) -> int | str:
    """Return the HTTP status that `address` gives for `path`, or a word for what went wrong."""
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host, "Connection": "close"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def missing(path: str, name: str, addresses: Sequence[str]) -> dict[str, int | str]:
    """Return what does not serve yet: {who: what it said}."""
    asked = {address: status(address, name, path) for address in addresses}
    try:
        resolved = {str(entry[4][0]) for entry in socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)}
    except socket.gaierror as error:
        asked[name] = error.strerror or "cannot be resolved"
    else:
        asked[name] = 200 if resolved == set(addresses) else f"resolves to {', '.join(sorted(resolved))}"
    return {who: said for who, said in asked.items() if said != 200}


def main(seconds: str, path: str, name: str, *addresses: str) -> None:
    """Poll until nothing is missing."""
    begin = time.monotonic()
    said = begin
    while lacking := missing(path, name, addresses):
        now = time.monotonic()
        words = "; ".join(f"{who}: {what}" for who, what in lacking.items())
        if now - begin > float(seconds):
            sys.exit(f"evenkeel-serving: http://{name}{path} does not serve after {seconds} s: {words}")
        if now - said > 10:
            said = now
            print(f"waiting for the service, {now - begin:.0f} s: {words}", file=sys.stderr, flush=True)
        time.sleep(0.5)
    print(json.dumps({"serving": True, "seconds": round(time.monotonic() - begin, 1)}))


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit("evenkeel-serving: use evenkeel-serving SECONDS PATH NAME ADDRESS [ADDRESS ...]")
    main(*sys.argv[1:])
