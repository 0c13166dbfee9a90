"""`evenkeel retire` and `evenkeel compare`: the end of two tables that live at once, and whether they are level."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from scripts.cli.releases import StackOption, ask
from scripts.cli.undo import as_stack
from scripts.inventory import InventoryError, load
from scripts.release.comparison import differences, in_words
from scripts.release.control_tables import ControlTables
from scripts.release.data import in_words as words_of
from scripts.release.data import old_side, tables_on
from scripts.release.documents import Stack, Version, listed
from scripts.release.errors import StageError, StageFailedError
from scripts.release.jobs import Users, progress, until_next_look
from scripts.release.journal import Journal, JournalError, JournalRefused, whoami
from scripts.release.load_balancers import LoadBalancers
from scripts.release.retire import retire as end
from scripts.ssh import SshError

LEASE_SECONDS, BEAT_SECONDS = 20.0, 4.0
TELL_SECONDS = 5.0
RUN = "byhand"


def register(app: typer.Typer) -> None:
    """Add the commands to `evenkeel`."""
    app.command()(retire)
    app.command()(compare)


def retire(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, stack: StackOption = None) -> None:
    """Drop the tables of the version that does not serve, and the mirror with them.

    From then on `evenkeel undo` has no way back to that version. A snapshot of each dropped table stays on its nodes.
    """
    machines = stack_with_ring(stack)
    known = ask(stack, lambda journal: journal.read(limit=1))
    live = Version.parse(known["live"])
    if not known["pairs"] or live is None:
        print("no two tables live at once")
        return
    if known["current"]:
        raise InventoryError(f"release {known['current']['id']} is in progress", "wait for it, or `evenkeel abort`")
    try:
        for pair in known["pairs"]:
            print(question(machines, pair, live))
        if not yes:
            typer.confirm("Drop them? This cannot be undone", abort=True)
        ask(stack, lambda journal: end_all(machines, journal, live))
    except StageError as error:
        print(f"evenkeel: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def question(machines: Stack, pair: Mapping[str, Any], live: Version) -> str:
    """Return what would go, with its rows."""
    side = old_side(pair["data"], live.tables)
    going = sorted(tables_on(pair["data"], side).values()) if side else []
    found = ControlTables(machines, pair["data"]).count()
    counted = listed([f"{name} ({in_rows(found, name)})" for name in going])
    return f"{live.version} serves; to be dropped, made by {pair['release']}: {counted or 'no table, only the record'}"


def in_rows(found: Mapping[str, Any], name: str) -> str:
    """Return how many rows a table has, as was counted or estimated."""
    if name not in found["tables"]:
        return "gone already"
    return f"{'about ' if name in found['about'] else ''}{found['tables'][name]} rows"


def end_all(machines: Stack, journal: Journal, live: Version) -> None:
    """Take the lock, see that nothing has changed, and end every pair."""
    purpose = f"retire, of tables that {live.version} does not use"
    with locked(journal, purpose, LEASE_SECONDS * machines.slowness) as held:
        known = journal.read(limit=1)
        if Version.parse(known["live"]) != live:
            raise InventoryError("meanwhile another version has become live", "see `evenkeel status`")
        for pair in known["pairs"]:
            balancers = LoadBalancers(machines, 0, 0)
            print(end(machines, held, pair, live.tables, balancers, why=f"{whoami()} said so"))


class Held:
    """The journal while the lock is ours: what is begun or done with a pair is recorded only then."""

    def __init__(self, journal: Journal, token: int, lease: float = LEASE_SECONDS) -> None:
        self._journal, self._token, self._lease = journal, token, lease

    def pair(self, release: str, state: str, data: Any = None, reason: str = "") -> Any:
        """Record how far a pair has come; raises StageFailedError, before anything more is done, without the lock."""
        try:
            self._journal.beat(self._token, self._lease)
        except JournalRefused as error:
            raise StageFailedError(
                f"the lock is lost ({error}), so nothing more is done; `evenkeel retire` again does the rest"
            ) from error
        return self._journal.pair(release, state, data, reason)


@contextmanager
def locked(journal: Journal, purpose: str, lease: float = LEASE_SECONDS) -> Iterator[Held]:
    """Hold the lock that releases take, its lease (seconds) renewed meanwhile."""
    holder = {"who": whoami(), "purpose": purpose, "nonce": secrets.token_hex(16)}
    token = journal.acquire(holder, lease)
    over = threading.Event()
    threading.Thread(target=renew, args=(journal, token, over, lease), daemon=True).start()
    try:
        yield Held(journal, token, lease)
    finally:
        over.set()
        journal.release(token)


def renew(journal: Journal, token: int, over: threading.Event, lease: float = LEASE_SECONDS) -> None:
    """Renew the lock's lease until it is over, or the lock is somebody else's; what fails is tried again."""
    while not over.wait(BEAT_SECONDS):
        try:
            journal.beat(token, lease)
        except JournalRefused:
            return  # the next step meets the same and says it
        except (JournalError, SshError):
            continue  # several beats go into a lease


def compare(stack: StackOption = None) -> None:
    """Hold the two tables that live at once against each other, every row; exit 1 when they differ."""
    machines = stack_with_ring(stack)
    known = ask(stack, lambda journal: journal.read(limit=1))
    if not known["pairs"]:
        print("no two tables live at once")
        return
    pair = known["pairs"][0]
    if pair["state"] == "left":
        print(f"{words_of(pair['data'])} are not kept level: users left the older one as it is; nothing to compare")
        return
    tables = ControlTables(machines, pair["data"])
    try:
        figures = follow(tables, Users(LoadBalancers(machines, 0, 0), None))
    except KeyboardInterrupt:
        tables.job("stop", "compare", run=RUN)
        raise
    except StageError as error:
        print(f"evenkeel: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    what = words_of(pair["data"])
    for example in figures.get("examples", []):
        key = ", ".join(f"{name} {value}" for name, value in example["key"].items())
        print(f"{example.get('table', '')} {key} {example.get('column') or ''}: {example['why']}")
    if differences(figures):
        print(f"evenkeel: {what} differ: {in_words(figures)}", file=sys.stderr)
        raise typer.Exit(1)
    print(f"{what} are the same: {figures['rows']} rows" + unrepresentable(figures))


def follow(tables: ControlTables, users: Users) -> Mapping[str, Any]:
    """Run the comparison to its end, slowed by users' times, saying how far it is; return its figures."""
    state = tables.job("start", "compare", run=RUN, paced=True, afresh=True)
    told, began = 0.0, time.monotonic()
    while state["state"] == "running":
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            print(progress("compare", state), file=sys.stderr)
        time.sleep(until_next_look(state, time.monotonic() - began))
        state = tables.job("state", "compare", run=RUN, **users.look())
    if state["state"] != "done":
        raise StageError(f"the comparison ended: {state['reason'] or 'nobody knows why'}")
    figures: Mapping[str, Any] = state["figures"]
    return figures


def unrepresentable(figures: Mapping[str, Any]) -> str:
    """Return what the old table cannot hold, in words."""
    count = figures.get("unrepresentable")
    return f"; {count} values are too large for the older table, which has none there" if count else ""


def stack_with_ring(name: str | None) -> Stack:
    """Return the machines, with what reaches the database."""
    inventory = load(name)
    if not inventory.ring:
        raise InventoryError(f"stack {inventory.stack} was made before tables could change", "run `pulumi up`")
    return as_stack(inventory)
