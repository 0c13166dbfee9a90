"""Roles: the administrator, the service's own, and the end of the login that every Cassandra is born with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cassandra.cluster import Session

from scripts.database.connection import ADMIN, APP, DEFAULT_LOGIN, Login, connected, patiently, rows_of, say, takes
from scripts.database.errors import LoginRefusedError, RingError
from scripts.database.request import Ring, TableSpec

RIGHTS = ("SELECT", "MODIFY")


def literal(text: str) -> str:
    """Return `text` as a CQL literal: passwords cannot be bound as values."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def administered(ring: Ring) -> Iterator[Session]:
    """Give a session as the administrator, who is created first where the ring is new."""
    admin = Login(ADMIN, ring.admin_password)
    patiently("the ring to take a login", ring.deadline_seconds, lambda: _ensure_admin(ring, admin))
    with connected(ring, admin) as session:
        yield session


def _ensure_admin(ring: Ring, admin: Login) -> str | bool:
    """Return True when the administrator can log in, else what is missing."""
    try:
        if takes(ring, admin):
            return True
        with connected(ring, Login(*DEFAULT_LOGIN)) as session:
            _create_admin(session, admin)
        return "the administrator was made this moment"
    except LoginRefusedError:
        return f"neither {ADMIN}'s password nor the login of a new ring is taken; was the ring made by another stack?"
    except RingError as error:
        return str(error)


def _create_admin(session: Session, admin: Login) -> None:
    attributes = f"PASSWORD = {literal(admin.password)} AND LOGIN = true AND SUPERUSER = true"
    session.execute(f"CREATE ROLE IF NOT EXISTS {admin.role} WITH {attributes}")
    # It exists with another password only when a run was stopped and the stack's secrets were made anew since.
    session.execute(f"ALTER ROLE {admin.role} WITH {attributes}")
    say(f"created the role {admin.role}")


def drop_default_login(session: Session) -> bool:
    """Remove the role `cassandra`, whose password everybody knows; return whether it was still there."""
    role = DEFAULT_LOGIN[0]
    if not rows_of(session, "SELECT role FROM system_auth.roles WHERE role = %s", [role]):
        return False
    session.execute(f"DROP ROLE IF EXISTS {role}")
    say(f"dropped the role {role}")
    return True


def ensure_app_role(session: Session, ring: Ring, password: str) -> str:
    """Create the service's role or correct its password; return "created", "changed" or "present"."""
    attributes = f"PASSWORD = {literal(password)} AND LOGIN = true AND SUPERUSER = false"
    if not rows_of(session, "SELECT role FROM system_auth.roles WHERE role = %s", [APP]):
        session.execute(f"CREATE ROLE IF NOT EXISTS {APP} WITH {attributes}")
        say(f"created the role {APP}")
        return "created"
    if takes(ring, Login(APP, password)):
        return "present"
    session.execute(f"ALTER ROLE {APP} WITH {attributes}")
    say(f"changed the password of {APP}")
    return "changed"


def ensure_rights(session: Session, keyspace: str, tables: tuple[TableSpec, ...]) -> int:
    """Give the service's role reading and writing on each table, by table so that one can be revoked alone.

    Returns how many rights were missing.
    """
    rows = rows_of(session, "SELECT resource, permissions FROM system_auth.role_permissions WHERE role = %s", [APP])
    present = {row.resource: set(row.permissions or ()) for row in rows}
    missing = [
        (right, table.name)
        for table in tables
        for right in RIGHTS
        if right not in present.get(f"data/{keyspace}/{table.name}", set())
    ]
    for right, table_name in missing:
        session.execute(f"GRANT {right} ON TABLE {keyspace}.{table_name} TO {APP}")
    return len(missing)
