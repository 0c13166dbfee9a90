"""The service's role gets reading and writing on its tables, one by one, and no more."""

from types import SimpleNamespace

import pytest

from scripts.database import roles
from scripts.database.request import TableSpec

TABLES = (TableSpec("item", {"id": "uuid"}, ("id",)), TableSpec("log", {"id": "uuid"}, ("id",)))


class Session:
    """A session that has some rights on record and keeps what it is told."""

    def __init__(self, **rights):
        self.rows = [
            SimpleNamespace(resource=f"data/evenkeel/{table}", permissions=set(has)) for table, has in rights.items()
        ]
        self.statements = []

    def execute(self, statement, parameters=None):
        if statement.startswith("SELECT"):
            return self.rows
        self.statements.append(statement)
        return []


@pytest.mark.parametrize(("text", "cql"), [("plain", "'plain'"), ("it's", "'it''s'"), ("'; DROP", "'''; DROP'")])
def test_a_password_cannot_end_its_literal(text, cql):
    assert roles.literal(text) == cql


def test_a_new_role_gets_both_rights_on_each_table():
    session = Session()
    assert roles.ensure_rights(session, "evenkeel", TABLES) == 4
    assert session.statements[0] == "GRANT SELECT ON TABLE evenkeel.item TO app"
    assert not [statement for statement in session.statements if "KEYSPACE" in statement]


def test_rights_that_are_there_are_not_granted_again():
    session = Session(item={"SELECT", "MODIFY"}, log={"SELECT"})
    assert roles.ensure_rights(session, "evenkeel", TABLES) == 1
    assert session.statements == ["GRANT MODIFY ON TABLE evenkeel.log TO app"]
