"""The journal's tables, and how its database is opened.

`PRAGMA user_version` counts the steps of STEPS that a file has been through; opening an older file takes the rest in
one transaction, a newer file is refused. Steps are never changed once released: a new one is added at the end.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from scripts.journal.errors import DamagedError

BUSY_SECONDS = 10.0
FIRST = """
CREATE TABLE releases (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    document TEXT NOT NULL,
    state    TEXT NOT NULL,
    reason   TEXT NOT NULL DEFAULT '',
    token    INTEGER NOT NULL,
    began    REAL NOT NULL,
    ended    REAL,
    stage    TEXT,
    waiting  TEXT,
    live     TEXT
);
CREATE UNIQUE INDEX one_in_progress ON releases (state) WHERE state = 'in-progress';
CREATE TABLE stages (
    release TEXT NOT NULL REFERENCES releases (id),
    stage   TEXT NOT NULL,
    verdict TEXT NOT NULL,
    began   REAL,
    ended   REAL NOT NULL,
    PRIMARY KEY (release, stage)
);
CREATE TABLE signals (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    release TEXT NOT NULL REFERENCES releases (id),
    kind    TEXT NOT NULL,
    who     TEXT NOT NULL,
    reason  TEXT NOT NULL,
    at      REAL NOT NULL
);
CREATE TABLE locks (
    token   INTEGER PRIMARY KEY AUTOINCREMENT,
    nonce   TEXT NOT NULL,
    who     TEXT NOT NULL,
    purpose TEXT NOT NULL,
    version TEXT,
    since   REAL NOT NULL,
    renewed REAL NOT NULL,
    expires REAL NOT NULL,
    ended   REAL,
    ending  TEXT
);
CREATE UNIQUE INDEX one_lock ON locks (ended IS NULL) WHERE ended IS NULL;
CREATE TABLE holds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    who    TEXT NOT NULL,
    reason TEXT NOT NULL,
    since  REAL NOT NULL,
    ended  REAL
);
CREATE UNIQUE INDEX one_hold ON holds (ended IS NULL) WHERE ended IS NULL;
CREATE TABLE requests (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    version  TEXT NOT NULL,
    who      TEXT NOT NULL,
    delivery TEXT UNIQUE,
    at       REAL NOT NULL,
    state    TEXT NOT NULL,
    taken_by TEXT,
    reason   TEXT NOT NULL DEFAULT ''
);
CREATE TABLE events (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      REAL NOT NULL,
    kind    TEXT NOT NULL,
    release TEXT,
    text    TEXT NOT NULL,
    data    TEXT NOT NULL
);
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_remain BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
"""
SECOND = """
CREATE TABLE pairs (
    release TEXT PRIMARY KEY REFERENCES releases (id),
    data    TEXT NOT NULL,
    state   TEXT NOT NULL,
    at      REAL NOT NULL
);
"""
STEPS = (FIRST, SECOND)


def connect(path: Path) -> sqlite3.Connection:
    """Open the journal, making or upgrading it; the caller begins and ends transactions itself."""
    make_private(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] != len(STEPS):
            upgrade(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def make_private(path: Path) -> None:
    """Make the file, for its owner only, where there is none; SQLite gives its companions the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Take the steps that this file has not been through; several processes may try at once."""
    write_ahead(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = connection.execute("PRAGMA user_version").fetchone()[0]
        if done > len(STEPS):
            raise DamagedError(
                f"the journal {path} was written by a newer Evenkeel: its schema is {done}, this one knows {len(STEPS)}"
            )
        for step in STEPS[done:]:
            for statement in statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging; SQLite does not wait for others here, so this does."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def statements(script: str) -> list[str]:
    """The statements of a script; `executescript` would commit on its own before the first."""
    found, text = [], ""
    for line in script.strip().splitlines():
        text += line + "\n"
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
