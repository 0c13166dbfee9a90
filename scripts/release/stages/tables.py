"""Tables: the new version's tables beside the old ones, and the mirror that gives them every write from here on.

Without a mirror (`mirror: scan`) they are only made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.stages import waits
from scripts.release.control_tables import ControlTables
from scripts.release.data import configs, in_words
from scripts.release.databases import Databases, check_jars
from scripts.release.documents import listed
from scripts.release.errors import StageFailedError
from scripts.release.retire import retire
from scripts.release.users import slowest_of
from scripts.release.work import Work

BEFORE_SECONDS = 60.0


def act(work: Work) -> str:
    """End older pairs, make the tables, and let every write to an old one reach the new one too. May be run again."""
    data = work.told.data
    if data is None:
        return "the data does not change"
    stack, release = work.told.stack, work.told.release
    # How users fared before there was a mirror or a copy is what both are held against.
    work.figures["users_p99_ms"] = slowest_of(work.load_balancers, BEFORE_SECONDS)
    retire_older(work, data)
    work.check()
    databases, tables = Databases(stack), ControlTables(stack, data)
    work.figures["pair"] = owner(data)
    if not any(pair["release"] == owner(data) and pair["state"] == "level" for pair in release.pairs):
        work.journal.open.pair(owner(data), "making", data)
    work.say(f"making {listed([table['target'] for table in [*data['tables'], *data.get('created', ())]])}")
    work.figures["made"] = tables.create()
    if waits(data):
        return f"{in_words(data)}: nothing mirrors them; writes will wait for the last scan"
    if not data["tables"]:
        return f"new tables are there: {listed([table['target'] for table in data['created']])}"
    check_jars(databases.mirrors())
    databases.configure(configs(data))
    work.check()
    work.say("every write to an old table reaches the new one from here on, once all nodes agree")
    work.figures["mirrored"] = tables.mirror("forward", on=True)
    if data["release"] != release.id:
        return f"goes on with the tables of {data['release']}: {in_words(data)}"
    return f"{in_words(data)}: what is written to the first reaches the second"


def owner(data: Mapping[str, Any]) -> str:
    """Return the release under which the journal knows these tables: an earlier one where this one goes on with it."""
    return str(data["release"])


def retire_older(work: Work, data: Mapping[str, Any]) -> None:
    """End every pair but this release's own: one table can have one twin only."""
    previous = work.told.release.previous
    names = previous.tables if previous else {}
    done: list[str] = []
    for pair in work.told.release.pairs:
        if pair["release"] == owner(data):
            continue
        work.say(f"ending the pair {in_words(pair['data'])} of {pair['release']}")
        try:
            why = f"{work.told.release.id} begins"
            done.append(retire(work.told.stack, work.journal.open, pair, names, work.load_balancers, why=why))
        except StageFailedError as error:
            raise StageFailedError(f"the tables of {pair['release']} are still there: {error}", error.figures) from None
        work.check()
    if done:
        work.figures["retired"] = done
