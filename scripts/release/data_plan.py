"""What a release changes about the data: found in preflight, before anything is touched.

The live version's tables come from its own manifest, as an application server holds it; what they are called in the
database from the journal. Where a pair of tables is kept level already and the wanted version is the other one's, a
release is routing only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.manifest import Manifest
from components.migration import MigrationError, is_same, left_alone, plan
from components.tables import Table
from scripts.release.app_servers import Slot
from scripts.release.data import left_words, physical
from scripts.release.documents import Version, listed
from scripts.release.errors import RefusedError, StageFailedError
from scripts.release.level import require_mirrored
from scripts.release.work import Work

Schema = Mapping[str, Table]  # by name
Slots = Mapping[str, Mapping[str, Slot] | StageFailedError]


def look(work: Work, manifest: Manifest, slots: Slots) -> Mapping[str, Any] | None:
    """Note what the data comes to in `figures` (data, tables, data_rows) and return it; None where it stays as it is.

    Raises RefusedError with the sentence that says what cannot be done.
    """
    release = work.told.release
    previous = release.previous
    work.figures["data"] = None
    if previous is None:
        return None  # its tables were made with the database, under their own names
    names, data = dict(previous.tables), None
    if previous.sha256 != release.sha256:
        live, wanted = schema_of(work, previous, slots), {table.name: table for table in manifest.tables}
        if not covers(live, wanted):
            names, data = change(work, manifest, live, wanted)
    if names:
        work.figures["tables"] = names
    if data:
        work.figures["data"] = data
    if data or release.pairs:
        work.figures["data_rows"] = 0
    return data


def change(
    work: Work, manifest: Manifest, live: Schema, wanted: Schema
) -> tuple[dict[str, str], Mapping[str, Any] | None]:
    """Return the new version's tables' names, and the data document unless a pair that is there serves."""
    release = work.told.release
    names = dict(release.previous.tables) if release.previous else {}
    for pair in release.pairs:
        if pair["state"] == "level" and (there := other_side(pair["data"], names, live, wanted)):
            require_mirrored(work.told.stack, pair["data"])
            work.say(f"the tables of {release.version} are there and kept level: only users move")
            return there, None
        if pair["state"] == "left" and release.previous and other_side(pair["data"], names, live, wanted):
            raise RefusedError(left_words(release.version, release.previous.version))
    for pair in release.pairs:
        # A copy that was broken off goes on, if it is the very one that would be begun now.
        if pair["state"] in ("making", "level") and is_same_change(work, manifest, live, pair["data"]):
            work.say(f"goes on with the tables of {pair['data']['release']}")
            return dict(pair["data"]["names"]), pair["data"]
    data = planned(work, manifest, live, release.number, release.id)
    if alone := left_alone(live.values(), manifest):
        work.say(
            f"{release.version} does not have {listed(alone)}, which {'is' if len(alone) == 1 else 'are'} left alone"
        )
    return (dict(data["names"]), data) if data else (names, None)


def is_same_change(work: Work, manifest: Manifest, live: Schema, data: Mapping[str, Any]) -> bool:
    """Tell whether what was begun is what this release would begin, under another number."""
    try:
        return planned(work, manifest, live, int(data["number"]), str(data["release"])) == data
    except RefusedError:
        return False  # what is wrong with it is said of this release's own plan


def planned(work: Work, manifest: Manifest, live: Schema, number: int, name: str) -> Mapping[str, Any] | None:
    """Return the data document of a release of that number and id, as components/migration.py makes it."""
    release, ring = work.told.release, work.told.stack.ring
    try:
        found = plan(
            live.values(),
            release.previous.tables if release.previous else {},
            manifest,
            release_id=name,
            number=number,
            keyspace=str(ring["keyspace"]),
            mirror=str(release.plan.get("mirror", "trigger")),
            taken=held_elsewhere(release.pairs, name),
        )
    except MigrationError as error:
        raise RefusedError(str(error)) from None
    return found.as_dict() if found else None


def held_elsewhere(pairs: Iterable[Mapping[str, Any]], name: str) -> set[str]:
    """Return the tables that other releases have made or work on, so that one that is new altogether is not them."""
    others = [pair["data"] for pair in pairs if pair["data"]["release"] != name]
    paired = {table[side] for data in others for table in data["tables"] for side in ("source", "target")}
    return paired | {made["target"] for data in others for made in data.get("created", ())}


def other_side(data: Mapping[str, Any], names: Mapping[str, str], live: Schema, wanted: Schema) -> dict[str, str]:
    """Return the names under which a pair holds the wanted tables beside the live ones; {} where it does not."""
    for here, there in (("source", "target"), ("target", "source")):
        if not data["tables"] or any(physical(names, table["name"]) != table[here] for table in data["tables"]):
            continue
        held = {**live, **{table["name"]: on_side(table, there) for table in data["tables"]}}
        if covers(held, wanted):
            return {**names, **{table["name"]: table[there] for table in data["tables"]}}
    return {}


def schema_of(work: Work, version: Version, slots: Slots) -> Schema:
    """Return what a running version's manifest says of its tables, from the first application server that holds it."""
    rest = [site for site in work.told.release.sites if site not in slots]
    for answers in (slots, work.app_servers.slots(rest) if not held_in(slots, version) else {}):
        if found := held_in(answers, version):
            return read_schema(found)
    raise RefusedError(
        f"no application server tells which tables {version.version} has, so nobody knows whether the data changes;"
        f" `pulumi up` with {version.version} puts that right"
    )


def held_in(slots: Slots, version: Version) -> Sequence[Mapping[str, Any]] | None:
    """Return the tables of a version's manifest as one of these application servers holds them."""
    for answer in slots.values():
        if isinstance(answer, StageFailedError):
            continue
        slot = answer[version.slot]
        if slot.sha256 == version.sha256 and slot.schema is not None:
            return slot.schema
    return None


def read_schema(tables: Iterable[Mapping[str, Any]]) -> Schema:
    """Return tables by name, from a manifest's TOML."""
    return {table["name"]: Table.from_dict(table) for table in tables}


def on_side(table: Mapping[str, Any], side: str) -> Table:
    """Return one of the two tables of a data document as a manifest would describe it."""
    were = {pair["target"]: pair["source"] for pair in table["pairs"]} if side == "source" else {}
    statics = tuple(were.get(name, name) for name in table.get("statics", ()))
    return Table(table["name"], table[f"{side}_columns"], tuple(table["key"]), statics)


def covers(live: Schema, wanted: Schema) -> bool:
    """Tell whether every wanted table is there just so."""
    return all(name in live and is_same(live[name], table) for name, table in wanted.items())
