"""`python3 -m scripts.webhook`: serve and notify until told to stop."""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
from typing import NoReturn

from scripts.journal.store import Store, StoreError
from scripts.webhook.audit import audit
from scripts.webhook.config import Config, ConfigError, load
from scripts.webhook.guard import Guard
from scripts.webhook.memory import Memory
from scripts.webhook.notifier import Notifier
from scripts.webhook.server import Server


def serve(config: Config) -> None:
    """Answer requests in this thread, notify in others; ends on SIGTERM or SIGINT."""
    journal = Store(config.journal)
    journal.events({"limit": 1})  # makes the file and its tables, and fails here if it cannot
    memory = Memory(config.journal)
    server = Server((config.address, config.port), Guard(config.key, memory, journal))
    notifiers = [Notifier(target, config.key, memory, journal) for target in config.targets]
    for number in (signal.SIGTERM, signal.SIGINT):
        # From a thread: `shutdown` waits for the loop, which this handler interrupts.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    for notifier in notifiers:
        notifier.start()
    host, port = server.server_address[:2]
    audit("listening", address=f"{host!s}:{port}", notify=[target.name for target in config.targets])
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        for notifier in notifiers:
            notifier.stop()
        server.server_close()


def main() -> NoReturn:
    """Start as the configuration says; what is wrong with it is one sentence."""
    try:
        serve(load())
    except ConfigError as error:
        sys.exit(f"evenkeel-webhook: {error}")
    except (OSError, sqlite3.Error, StoreError) as error:
        sys.exit(f"evenkeel-webhook: cannot start: {error}")
    sys.exit(0)


if __name__ == "__main__":
    main()
