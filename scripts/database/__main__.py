"""`python3 -m scripts.database prepare | status`: JSON on standard input, JSON on standard output, progress on error.

prepare   {"contact_points", "datacenter", "admin_password", "app_password", "keyspace", "replication_factor",
           "tables": [{"name", "columns", "primary_key"}], "seed_rows", "port"?, "deadline_seconds"?, "slowness"?}
status    {"contact_points", "datacenter", "admin_password", "keyspace", "port"?}
"""

import json
import sys
from typing import Any

from cassandra import DriverException

from scripts.database.errors import DatabaseError, RequestError
from scripts.database.prepare import prepare
from scripts.database.request import read_request, read_ring
from scripts.database.status import status


def read_document(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RequestError(f"standard input is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise RequestError("standard input must be a JSON object")
    return document


def run(command: str, text: str) -> dict[str, Any]:
    """Return the result of one command on the document in `text`."""
    document = read_document(text)
    if command == "prepare":
        return prepare(read_request(document))
    return status(read_ring(document), str(document.get("keyspace", "")))


def main(arguments: list[str]) -> None:
    """Run the command that the one argument names."""
    if len(arguments) != 1 or arguments[0] not in ("prepare", "status"):
        sys.exit("scripts.database: use `python3 -m scripts.database prepare` or `... status`, with JSON as input")
    try:
        result = run(arguments[0], sys.stdin.read())
    except (DatabaseError, DriverException) as error:
        sys.exit(f"scripts.database: {error}")
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
