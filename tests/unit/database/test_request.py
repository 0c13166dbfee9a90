"""What is asked for is checked before anything is touched, and refused by name in one sentence."""

import pytest

from scripts.database.errors import RequestError
from scripts.database.request import read_request, read_table

TABLE = {"name": "item", "columns": {"id": "uuid", "name": "text"}, "primary_key": ["id"]}
DOCUMENT = {
    "contact_points": ["10.77.0.31", "10.77.0.32", "10.77.0.33"],
    "datacenter": "dc1",
    "admin_password": "hidden-1",
    "app_password": "hidden-2",
    "keyspace": "evenkeel",
    "replication_factor": 3,
    "tables": [TABLE],
    "seed_rows": 10,
}


def test_a_good_document_becomes_a_request():
    request = read_request(DOCUMENT)
    assert request.ring.contact_points == ("10.77.0.31", "10.77.0.32", "10.77.0.33")
    assert request.ring.port == 9042
    assert request.tables[0].primary_key == ("id",)
    assert list(request.tables[0].columns) == ["id", "name"]


def test_passwords_are_not_shown():
    assert "hidden" not in repr(read_request(DOCUMENT))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contact_points": []}, "contact_points"),
        ({"contact_points": "10.77.0.31"}, "contact_points"),
        ({"datacenter": "dc 1"}, "datacenter"),
        ({"admin_password": ""}, "admin_password is missing"),
        ({"app_password": 7}, "app_password is missing"),
        ({"keyspace": "evenkeel; DROP"}, "keyspace"),
        ({"replication_factor": 4}, "there are 3 nodes"),
        ({"replication_factor": 0}, "replication_factor is 0"),
        ({"replication_factor": True}, "replication_factor is True"),
        ({"seed_rows": -1}, "seed_rows"),
        ({"tables": []}, "no table to put the rows into"),
        ({"tables": [TABLE, TABLE]}, "named twice"),
        ({"port": 0}, "port"),
    ],
)
def test_a_bad_value_is_named(changes, words):
    with pytest.raises(RequestError, match=words):
        read_request(DOCUMENT | changes)


def test_a_refused_password_is_not_repeated():
    with pytest.raises(RequestError) as caught:
        read_request(DOCUMENT | {"app_password": ["hidden-3"]})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Item"}, "name"),
        ({"columns": {"id; DROP": "uuid"}}, "not lower-case CQL"),
        ({"columns": {"id": "uuid) WITH x"}}, "not lower-case CQL"),
        ({"primary_key": []}, "primary_key"),
        ({"primary_key": ["other"]}, "other"),
        ({"columns": None}, "columns"),
        ({"static": ["id"]}, "must name columns outside the key"),
        ({"static": "name"}, "static is 'name'"),
    ],
)
def test_a_bad_table_is_named(changes, words):
    with pytest.raises(RequestError, match=words):
        read_table(TABLE | changes)
