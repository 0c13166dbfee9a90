"""A data document like a release's, for tests that need one."""

from scripts.tables.cells import MAP, SET, SIMPLE, UDT, Cell, Column, Row, Table

COLUMNS = {"p": "text", "c": "int", "a": "text", "n": "int", "s": "set<text>", "m": "map<text,int>", "u": "address"}
DOCUMENT = {
    "keyspace": "evenkeel",
    "release": "r7-4.0.0-abc",
    "number": 7,
    "mirror": "trigger",
    "names": {"item": "item_r7"},
    "previous_names": {"item": "item"},
    "tables": [
        {
            "name": "item",
            "source": "item",
            "target": "item_r7",
            "key": ["p", "c"],
            "partition": ["p"],
            "source_columns": COLUMNS,
            "target_columns": {**COLUMNS, "n": "bigint", "category": "text"},
            "pairs": [
                {
                    "source": name,
                    "target": name,
                    "from": COLUMNS[name],
                    "to": "bigint" if name == "n" else COLUMNS[name],
                }
                for name in ("a", "n", "s", "m", "u")
            ],
            "added": [{"target": "category", "type": "text", "default": "general"}],
            "dropped": [],
            "statics": [],
        }
    ],
    "created": [],
}

SOURCE = Table(
    "evenkeel",
    "item",
    ("p",),
    ("c",),
    (
        Column("a", "text", SIMPLE, False),
        Column("m", "map<text, int>", MAP, False),
        Column("n", "int", SIMPLE, False),
        Column("s", "set<text>", SET, False),
        Column("u", "address", UDT, False, ("street", "zip")),
    ),
)


def row(**cells):
    """A row of SOURCE; each column's cells as tuples (value, timestamp, ttl[, path])."""
    made = {
        name: tuple(Cell(*cell) for cell in (found if isinstance(found, list) else [found]))
        for name, found in cells.items()
    }
    return Row(5, (b"key",), (b"\0\0\0\1",), made)
