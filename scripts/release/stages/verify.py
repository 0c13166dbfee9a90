"""Verify: the two tables hold the same, range by range; then the mirror works both ways.

Without a mirror they cannot be the same while users write: a first scan brings over what was written since the copy, so
that the one for which writes wait finds little to do.
"""

from __future__ import annotations

from components.stages import waits
from scripts.release.comparison import compare, differences, heard_users, in_words
from scripts.release.control_tables import ControlTables
from scripts.release.errors import StageFailedError
from scripts.release.jobs import follow
from scripts.release.stages.tables import owner
from scripts.release.work import Work


def act(work: Work) -> str:
    """Compare; only then mirror back, so that the copy itself is never mirrored. May be run again."""
    data = work.told.data
    if data is None:
        return "the data does not change"
    tables = ControlTables(work.told.stack, data)
    if waits(data):
        return scan(work, tables)
    figures = compare(work, tables, "verify", repair=True)
    if differences(figures):
        raise StageFailedError(f"the tables differ: {in_words(figures)}")
    work.check()
    work.say("the tables are the same; every write to a new one reaches the old one too, once all nodes agree")
    work.figures["mirrored"] = tables.mirror("reverse", on=True)
    work.journal.open.pair(owner(data), "level")
    return f"{figures.get('rows', 0)} rows are the same in both tables, and every write reaches both"


def scan(work: Work, tables: ControlTables) -> str:
    """Scan both tables while users write: what the old one has is brought over, nothing is taken back yet."""
    users = heard_users(work)
    state = follow(work, tables, "scan", users, run="live", paced=users is not None, afresh=True, deletes=False)
    figures = state["figures"]
    work.figures["scanned"] = dict(figures)
    return f"{figures.get('levelled', 0)} of {figures.get('rows', 0)} rows brought over since the copy; writes go on"
