"""The same copy by a program of others, where the table has outgrown one control host: what to run, and when not to.

Pure: it writes files' contents and command lines from a data document; `evenkeel backfill --engine` runs them. Both
programs read and write through CQL, so the mirror stays in force, and our own comparison follows in any case.

- Cassandra Data Migrator (CDM) on Apache Spark. It gives all of a row's cells the latest write time of any of them, so
  a write that was acknowledged can lose against an older one that was copied. Safe only where every write covers the
  whole row, or where nobody writes: whoever starts it says so.
- DSBulk, which keeps each cell's time and TTL, but takes TTLs as they were when it unloaded, and knows no elements of
  collections.

The settings are those of CDM 5 and 6 and of DSBulk 1.11, by their documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.data import Data, TableChange, comparable_type
from scripts.database.request import Ring
from scripts.tables.errors import MisuseError, Refused

ADMIN = "evenkeel_admin"
SPARK, DSBULK = "spark", "dsbulk"
ENGINES = (SPARK, DSBULK)
JOB_CLASS = "com.datastax.cdm.job.Migrate"
WHOLE_ROWS = (
    "Cassandra Data Migrator gives every cell of a row the latest write time of any of them, and an acknowledged update"
    " may lose against it: say --whole-rows if every write of the service covers the whole row, or nobody writes"
)
# CDM's defaults are for large machines; a part is a token range that it checkpoints.
PART_ROWS, LEAST_PARTS, MOST_PARTS = 20_000, 16, 10_000
FIXED = ("tinyint", "smallint", "int", "bigint", "float", "double")  # numbers of a fixed length
REDACTED = "spark.redaction.regex=(?i)secret|password|token"  # what Spark keeps out of its logs


@dataclass(frozen=True)
class Step:
    """One program to run. `files` are written first, by name, for the owner's eyes only: they hold a password."""

    command: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Engine:
    """Which program, and where it is: `master` and `jar` for Spark, `program` for spark-submit or dsbulk."""

    name: str
    program: str
    master: str = "local[*]"
    jar: str = ""
    whole_rows: bool = False
    rows_per_second: int = 20_000
    run_again: int = 0  # CDM's number of a run that was broken off, to go on with


def steps(engine: Engine, ring: Ring, data: Data, folder: str, rows: Mapping[str, int]) -> list[Step]:
    """Return what to run, in order; `rows` estimates each source table, `folder` is where files go.

    Raises Refused where this program would not copy what is there.
    """
    if engine.name == SPARK:
        if not engine.jar:
            raise MisuseError("--engine spark needs --jar, Cassandra Data Migrator's")
        if not engine.whole_rows:
            raise Refused(WHOLE_ROWS)
        return [
            spark_step(engine, ring, data, change, folder=folder, rows=rows.get(change.source, 0))
            for change in data.tables
        ]
    if engine.name == DSBULK:
        return [step for change in data.tables for step in dsbulk_steps(engine, ring, data, change, folder)]
    raise MisuseError(f"engine must be one of {', '.join(ENGINES)}")


def spark_step(engine: Engine, ring: Ring, data: Data, change: TableChange, *, folder: str, rows: int) -> Step:
    """Return the job that copies one table with Cassandra Data Migrator."""
    if reason := beyond_migrator(change):
        raise Refused(f"Cassandra Data Migrator does not copy {change.source} as it is: {reason}")
    name = f"cdm-{change.source}.properties"
    command = (
        engine.program, "--properties-file", f"{folder}/{name}", "--master", engine.master,
        "--conf", REDACTED, "--class", JOB_CLASS, engine.jar,
    )  # fmt: skip
    return Step(command, {name: properties(cdm_settings(engine, ring, data, change, rows))})


def cdm_settings(engine: Engine, ring: Ring, data: Data, change: TableChange, rows: int) -> dict[str, Any]:
    """Return CDM's settings for one table; names as in its documentation."""
    settings: dict[str, Any] = {}
    for side, table in (("origin", change.source), ("target", change.target)):
        connect = f"spark.cdm.connect.{side}"
        settings |= {
            f"{connect}.host": ring.contact_points[0],
            f"{connect}.port": ring.port,
            f"{connect}.username": ADMIN,
            f"{connect}.password": ring.admin_password,
            f"spark.cdm.schema.{side}.keyspaceTable": f"{data.keyspace}.{table}",
        }
    settings |= {
        "spark.cdm.schema.origin.column.ttl.automatic": "true",
        "spark.cdm.schema.origin.column.writetime.automatic": "true",
        "spark.cdm.schema.ttlwritetime.calc.useCollections": "true",
        "spark.cdm.perfops.consistency.read": "QUORUM",
        "spark.cdm.perfops.consistency.write": "QUORUM",
        "spark.cdm.perfops.numParts": min(max(rows // PART_ROWS, LEAST_PARTS), MOST_PARTS),
        "spark.cdm.perfops.ratelimit.origin": engine.rows_per_second,
        "spark.cdm.perfops.ratelimit.target": engine.rows_per_second,
        "spark.cdm.trackRun": "true",
        "spark.cdm.trackRun.previousRunId": engine.run_again,
    }
    renamed = [f"{pair.source}:{pair.target}" for pair in change.pairs if pair.source != pair.target]
    if renamed:
        settings["spark.cdm.schema.origin.column.names.to.target"] = ",".join(renamed)
    defaults = [added for added in change.added if added.default is not None]
    if defaults:
        constants = "spark.cdm.feature.constantColumns"
        settings |= {
            f"{constants}.names": ",".join(added.target for added in defaults),
            f"{constants}.types": ",".join(added.type for added in defaults),  # version 5's alone
            f"{constants}.values": "|".join(literal(added.default) for added in defaults),
            f"{constants}.splitRegex": r"\|",
        }
    return settings


def beyond_migrator(change: TableChange) -> str:
    """Return what in a change the migrator cannot do, "" when it can do all of it.

    It reads a value's bytes as those of the wider type, which a number of another length is not; it then leaves out
    the row, and ends well (its CqlConversion.java). A varint is of any length.
    """
    for pair in change.pairs:
        narrow, wide = comparable_type(pair.source_type), comparable_type(pair.target_type)
        if narrow in FIXED and wide in FIXED and narrow != wide:
            return f"it makes no {wide} of {pair.source}'s {narrow}"
    return ""


def dsbulk_steps(engine: Engine, ring: Ring, data: Data, change: TableChange, folder: str) -> list[Step]:
    """Return the unloading and the loading of one table.

    Broken off, both begin anew, in another folder: what was unloaded before would be loaded with lives of that time.
    """
    if reason := beyond_dsbulk(change):
        raise Refused(f"DSBulk does not copy {change.source} as it is: {reason}")
    login = f"dsbulk-{change.source}.conf"
    place = f"{folder}/dsbulk-{change.source}"
    common = (
        "-f", f"{folder}/{login}", "-h", ",".join(ring.contact_points), "-port", str(ring.port),
        "-cl", "QUORUM", "-k", data.keyspace, "-timestamp", "true", "-ttl", "true",
        "--executor.maxPerSecond", str(engine.rows_per_second), "-url", place,
    )  # fmt: skip
    secret = {login: credentials(ring)}
    return [
        Step((engine.program, "unload", *common, "-t", change.source), secret),
        Step((engine.program, "load", *common, "-t", change.target, "--schema.nullToUnset", "true")),
    ]


def beyond_dsbulk(change: TableChange) -> str:
    """Return what in a change DSBulk cannot do, "" when it can do all of it."""
    for pair in change.pairs:
        if comparable_type(pair.source_type).startswith(("set<", "map<", "list<")):
            return f"{pair.source} is a collection, whose elements have write times of their own"
        if pair.source != pair.target:
            return f"{pair.source} is renamed, and it keeps write times for columns of the same name only"
    for added in change.added:
        if added.default is not None:
            return f"it cannot write the default of {added.target} at a time of its own"
    return ""


def properties(settings: Mapping[str, Any]) -> str:
    """Return settings as the lines of a Java properties file, where a backslash is written twice."""
    return "".join(f"{key}={value}\n".replace("\\", "\\\\") for key, value in settings.items())


def literal(value: Any) -> str:
    """Return a value as CQL writes it: a text in quotes, a number as it is."""
    if isinstance(value, Mapping | list | tuple):
        raise Refused("Cassandra Data Migrator is told plain defaults only, no collections")
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def credentials(ring: Ring) -> str:
    """Return the driver's own settings of a login: DSBulk's (dsbulk.driver.auth) take none by password by default."""
    values = {"class": "PlainTextAuthProvider", "username": ADMIN, "password": ring.admin_password}
    start = "datastax-java-driver.advanced.auth-provider"
    return "".join(f'{start}.{key} = "{escaped(value)}"\n' for key, value in values.items())


def escaped(text: str) -> str:
    """Return a text as it stands between quotes in DSBulk's configuration."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def shown(command: Sequence[str]) -> str:
    """Return a command line for a person to read or paste."""
    return " ".join(word if word.replace("-", "").isalnum() else f"'{word}'" for word in command)
