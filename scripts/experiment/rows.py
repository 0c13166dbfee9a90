"""The sample's table around an experiment: how many rows it has, and the removal of those that loads made.

They stay until the experiment ends. A row that is deleted is stepped over by every list for ten days
(gc_grace_seconds), so that a load which removed its own 3,000 rows made the next run's lists dearer, and so on: after
some thirty runs a list of five took the database nearly twice as much processor time. Rows that are there cost a list
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.experiment.folder import Folder
from scripts.experiment.load.place import HostPlace
from scripts.experiment.load.targets import MADE
from scripts.inventory import Inventory
from scripts.ssh import SshError

TARGETS = Path(__file__).parent / "load" / "targets.py"
SECONDS = 120.0
SECONDS_EACH = 0.1


@contextmanager
def at_runner(inventory: Inventory) -> Iterator[HostPlace]:
    """A folder on the test runner with targets.py in it, gone after the block."""
    place = HostPlace(inventory.login(inventory.host("runner")))
    try:
        place.put("targets.py", TARGETS.read_text("utf-8"))
        yield place
    finally:
        place.leave()


def count_rows(inventory: Inventory) -> int | None:
    """How many items the service lists; None where it has no such list."""
    with at_runner(inventory) as place:
        try:
            return int(place.run(f"python3 targets.py count {inventory.service}", timeout=300).stdout)
        except (SshError, ValueError):
            return None


@contextmanager
def rows_removed(inventory: Inventory, folder: Folder, say: Callable[[str], None]) -> Iterator[None]:
    """However the block ends: afterwards the rows that loads of the experiment made are gone, or it is said that not.

    Ctrl-C ends the removal; what stays is removed when the experiment is gone on with.
    """
    try:
        yield
    finally:
        try:
            remove(inventory, folder, say)
        except (SshError, KeyboardInterrupt) as error:
            why = str(error) or "interrupted"
            say(f"items that loads made stay in the table, see {folder.path / 'items'}: {why}")
            if isinstance(error, KeyboardInterrupt):
                raise


def remove(inventory: Inventory, folder: Folder, say: Callable[[str], None]) -> None:
    """Remove the rows file by file, and forget each of them; raises SshError where the service did not do it."""
    files = folder.kept_items()
    if not files:
        return
    items = {file: json.loads(file.read_text("utf-8")) for file in files}
    say(f"removing the {sum(map(len, items.values()))} rows that loads made")
    with at_runner(inventory) as place:
        for file, ids in items.items():
            place.put(MADE[0], json.dumps(ids))
            place.run(f"python3 targets.py tidy {inventory.service}", timeout=SECONDS + SECONDS_EACH * len(ids))
            file.unlink()
