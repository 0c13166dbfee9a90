"""The small verbs: login, logout, whoami, version, cancel."""

from __future__ import annotations

import argparse
import getpass

from scripts.engine import VERSION
from scripts.engine.backend import open_backend
from scripts.engine.lock import cancel_locks
from scripts.engine.session import open_session


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    """Add the verbs to the command line."""
    login = verbs.add_parser("login", parents=[common], help="check a file:// backend")
    login.add_argument("url", nargs="?", default="")
    login.set_defaults(handler=_login)
    verbs.add_parser("logout", parents=[common], help="nothing to do").set_defaults(handler=lambda _parsed: 0)
    verbs.add_parser("whoami", parents=[common], help="who works here").set_defaults(handler=_whoami)
    verbs.add_parser("version", parents=[common], help="the version").set_defaults(handler=_version)
    cancel = verbs.add_parser("cancel", parents=[common], help="remove the locks of an update that is gone")
    cancel.add_argument("name", nargs="?")
    cancel.add_argument("-y", "--yes", action="store_true")
    cancel.set_defaults(handler=_cancel)


def _login(parsed: argparse.Namespace) -> int:
    backend = open_backend(parsed.url, "")
    print(f"{backend.url} can be used; the embedded engine remembers no login, so set PULUMI_BACKEND_URL={backend.url}")
    return 0


def _whoami(parsed: argparse.Namespace) -> int:
    del parsed
    print(getpass.getuser())
    return 0


def _version(parsed: argparse.Namespace) -> int:
    del parsed
    print(f"v{VERSION} (Evenkeel's embedded engine)")
    return 0


def _cancel(parsed: argparse.Namespace) -> int:
    session = open_session(parsed.cwd)
    name = session.stack_name(parsed.name or parsed.stack)
    cancel_locks(session.backend, name)
    print(f"The currently running update for '{name}' has been canceled!")
    return 0
