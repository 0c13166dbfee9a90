"""A session that hands every value over as the bytes it travels in, and takes bytes to bind.

A copy must change nothing: a value that is never decoded cannot be rounded, shortened or refused by a Python type on
its way (a timestamp of the year 20000, a NaN, a set of maps). It is also several times cheaper. Values that a person
reads are decoded by `decode`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Session
from cassandra.cqltypes import lookup_casstype
from cassandra.policies import FallthroughRetryPolicy
from cassandra.protocol import ResultMessage, _ProtocolHandler
from cassandra.query import UNSET_VALUE, BoundStatement, PreparedStatement

from scripts.database.connection import PROTOCOL

UNSET: Any = UNSET_VALUE
REQUEST_SECONDS = 15.0
RawRow = tuple[bytes | None, ...]
_INT = struct.Struct(">i")


class RawResult(ResultMessage):  # type: ignore[misc]  # the driver has no types
    """A result whose rows are tuples of bytes."""

    def recv_results_rows(
        self, f: Any, protocol_version: int, user_type_map: Any, result_metadata: Any, column_encryption_policy: Any
    ) -> None:
        """Read the rows of one page; called by the driver."""
        self.recv_results_metadata(f, user_type_map)
        metadata = self.column_metadata or result_metadata
        self.column_names = [column[2] for column in metadata]
        self.column_types = [column[3] for column in metadata]
        self.parsed_rows = split_rows(f.read(), len(metadata))


class RawHandler(_ProtocolHandler):  # type: ignore[misc]
    """The driver's protocol with RawResult in place of its own results."""

    message_types_by_opcode: Mapping[int, Any] = {
        **_ProtocolHandler.message_types_by_opcode,
        ResultMessage.opcode: RawResult,
    }


def split_rows(content: bytes, width: int) -> list[RawRow]:
    """Return the rows in the body of a page: a count, then `width` values a row, each with its length before it."""
    unpack = _INT.unpack_from
    count = unpack(content)[0]
    place = 4
    rows: list[RawRow] = []
    for _ in range(count):
        row: list[bytes | None] = []
        for _ in range(width):
            length = unpack(content, place)[0]
            place += 4
            if length < 0:
                row.append(None)
            else:
                row.append(content[place : place + length])
                place += length
        rows.append(tuple(row))
    return rows


def raw_session(session: Session) -> Session:
    """Return a second session of the same cluster, for bytes only. It ends with the cluster."""
    raw = session.cluster.connect()
    raw.client_protocol_handler = RawHandler
    return raw


def profile_of(session: Session, consistency: int = ConsistencyLevel.QUORUM, once: bool = False) -> Any:
    """Return the execution profile for statements of a raw session at this consistency.

    `once`: for statements that are made anew at each try; the driver would send the same bytes again by itself.
    """
    more = {"retry_policy": FallthroughRetryPolicy()} if once else {}
    return session.execution_profile_clone_update(
        EXEC_PROFILE_DEFAULT,
        **more,
        consistency_level=consistency,
        request_timeout=REQUEST_SECONDS,
        row_factory=lambda _names, rows: rows,
    )


def bind(statement: PreparedStatement, values: Sequence[Any]) -> BoundStatement:
    """Bind bytes (or None, or UNSET) to a prepared statement, in the order of its marks."""
    bound = BoundStatement(statement)
    bound.values = list(values)
    bound.is_idempotent = True  # every statement of this package carries its own timestamp
    return bound


def quoted(name: str) -> str:
    """Return a name as CQL takes any: «order» or «token» is a word of its own without."""
    return '"' + name.replace('"', '""') + '"'


def decode(cql_type: str, content: bytes | None) -> Any:
    """Return the Python value that these bytes stand for, for people; types of the user's own stay as hexadecimal."""
    if content is None:
        return None
    try:
        return lookup_casstype(_java_type(cql_type)).from_binary(content, PROTOCOL)
    except Exception:
        return content.hex()


def encode(cql_type: str, content: Any) -> bytes:
    """Return the bytes of a value of a native type or a collection of such."""
    encoded: bytes = lookup_casstype(_java_type(cql_type)).to_binary(content, PROTOCOL)
    return encoded


_JAVA = {
    "ascii": "AsciiType", "bigint": "LongType", "blob": "BytesType", "boolean": "BooleanType",
    "date": "SimpleDateType", "decimal": "DecimalType", "double": "DoubleType", "duration": "DurationType",
    "float": "FloatType", "frozen": "FrozenType", "inet": "InetAddressType", "int": "Int32Type", "list": "ListType",
    "map": "MapType", "set": "SetType", "smallint": "ShortType", "text": "UTF8Type", "time": "TimeType",
    "timestamp": "TimestampType", "timeuuid": "TimeUUIDType", "tinyint": "ByteType", "tuple": "TupleType",
    "uuid": "UUIDType", "varchar": "UTF8Type", "varint": "IntegerType",
}  # fmt: skip


def _java_type(cql_type: str) -> str:
    """Return the name by which the driver looks a CQL type up: map<text,int> is MapType(UTF8Type,Int32Type)."""
    words, word = [], ""
    for letter in cql_type.replace(" ", "") + ",":
        if letter not in "<>,":
            word += letter
            continue
        if word:
            words.append(_JAVA[word])
            word = ""
        words.append({"<": "(", ">": ")", ",": ","}[letter])
    return "".join(words[:-1])
