"""Verify: the two tables hold the same, range by range; then the mirror works both ways."""

from __future__ import annotations

from scripts.release.comparison import compare, differences, in_words
from scripts.release.control_tables import ControlTables
from scripts.release.errors import StageFailedError
from scripts.release.stages.tables import owner
from scripts.release.work import Work


def act(work: Work) -> str:
    """Compare; only then mirror back, so that the copy itself is never mirrored. May be run again."""
    data = work.told.data
    if data is None:
        return "the data does not change"
    tables = ControlTables(work.told.stack, data)
    figures = compare(work, tables, "verify", repair=True)
    if differences(figures):
        raise StageFailedError(f"the tables differ: {in_words(figures)}")
    work.check()
    work.say("the tables are the same; every write to a new one reaches the old one too, once all nodes agree")
    work.figures["mirrored"] = tables.mirror("reverse", on=True)
    work.journal.open.pair(owner(data), "level")
    return f"{figures.get('rows', 0)} rows are the same in both tables, and every write reaches both"
