"""Make the items a load needs and the list of its requests, each with the one status that is right; remove them later.

Runs on the test runner (standard library only). `prepare` reads a plan from standard input and writes, into the
current directory, `targets.json` (a request a line, in vegeta's format), `expected.json` (the right status of each
request, by the number in its URL) and `made.json` (the items made). `tidy` deletes those, and those the load created.

No item has two roles: what is deleted is neither read nor changed, so the order in which requests arrive is no matter.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

# Of a hundred requests, so many of a kind: 70 read, 30 write.
SHARES = {"list": 28, "read": 40, "read-deleted": 2, "create": 12, "replace": 7, "change": 7, "delete": 4}
METHODS = {
    "list": "GET",
    "read": "GET",
    "read-deleted": "GET",
    "create": "POST",
    "replace": "PUT",
    "change": "PATCH",
    "delete": "DELETE",
}
EXPECTED = {
    "list": 200,
    "read": 200,
    "read-deleted": 404,
    "create": 201,
    "replace": 200,
    "change": 200,
    "delete": 204,
}
KEPT = 40
GONE = 5
WORKERS = 8
TRIES = 3


@dataclass(frozen=True)
class Items:
    """Ids of items by their role: read and changed, deleted before the load, deleted by it (each once)."""

    kept: Sequence[str]
    gone: Sequence[str]
    doomed: Sequence[str]


@dataclass(frozen=True)
class Entrance:
    """Where requests go: the beginning of the URL, and the Host header where the URL has an address instead."""

    base: str
    host: str


def kinds(count: int, dice: random.Random) -> list[str]:
    """The kinds of `count` requests: every hundred has its shares, in an order of its own."""
    deck = [kind for kind, share in SHARES.items() for _ in range(share)]
    found: list[str] = []
    while len(found) < count:
        found += dice.sample(deck, len(deck))
    return found[:count]


def make_targets(
    order: Sequence[str], items: Items, entrances: Sequence[Entrance], dice: random.Random
) -> Iterator[dict[str, object]]:
    """A target for every kind in the order; the number in its URL is its place in the order."""
    doomed = iter(items.doomed)
    for number, kind in enumerate(order):
        if kind in ("list", "create"):
            path = "/item"
        elif kind == "delete":
            path = f"/item/{next(doomed)}"
        else:
            path = f"/item/{dice.choice(items.gone if kind == 'read-deleted' else items.kept)}"
        entrance = entrances[number % len(entrances)]
        query = f"?limit=5&load={number}" if kind == "list" else f"?load={number}"
        yield make_target(METHODS[kind], entrance, path + query, body_of(kind, number))


def make_target(method: str, entrance: Entrance, path: str, body: object) -> dict[str, object]:
    """One request in vegeta's JSON format."""
    target: dict[str, object] = {"method": method, "url": entrance.base + path}
    header = {"Host": [entrance.host]} if entrance.host else {}
    if body is not None:
        header["Content-Type"] = ["application/json"]
        target["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    return target | ({"header": header} if header else {})


def body_of(kind: str, number: int) -> object:
    """The body that a kind of request has."""
    if kind in ("create", "replace"):
        return {"name": f"load {number}", "quantity": number, "tags": ["load"]}
    return {"quantity": number} if kind == "change" else None


class Service:
    """The service as this program itself uses it: one request on a connection, tried again, for it only prepares."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create(self, number: int) -> str:
        """Make an item and return its id."""
        body = json.dumps({"name": f"load, made before {number}", "quantity": 1, "tags": ["load"]})
        return str(json.loads(self._ask("POST", "/item", 201, body))["id"])

    def delete(self, item: str) -> None:
        """Delete an item."""
        self._ask("DELETE", f"/item/{item}", 204)

    def _ask(self, method: str, path: str, expected: int, body: str | None = None) -> bytes:
        """The answer's body; the last of the tries may raise."""
        for left in reversed(range(TRIES)):
            connection = http.client.HTTPConnection(self._name, timeout=15)
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status == expected:
                    return content
                if not left:
                    raise RuntimeError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
            except OSError:
                if not left:
                    raise
            finally:
                connection.close()
        raise AssertionError("unreachable")


def in_parallel(action: Callable[[Given], Made], over: Sequence[Given]) -> list[Made]:
    """Do the same with each of them, a few at a time."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(action, over))


def prepare(plan: dict[str, object]) -> None:
    """Make the items, write the three files."""
    count, service = int(str(plan["count"])), Service(str(plan["service"]))
    dice = random.Random(int(str(plan["seed"])))  # noqa: S311 - a mix, no secret
    order = kinds(count, dice)
    made = in_parallel(service.create, range(KEPT + GONE + order.count("delete")))
    Path("made.json").write_text(json.dumps(made))
    items = Items(made[:KEPT], made[KEPT : KEPT + GONE], made[KEPT + GONE :])
    in_parallel(service.delete, items.gone)
    entrances = [Entrance(**entrance) for entrance in plan["entrances"]]  # type: ignore[attr-defined]
    with Path("targets.json").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(target) + "\n" for target in make_targets(order, items, entrances, dice))
    Path("expected.json").write_text(json.dumps([EXPECTED[kind] for kind in order]))


def tidy(service: Service) -> None:
    """Delete every item that the load knows of."""
    for name in ("made.json", "created.json"):
        if Path(name).exists():
            in_parallel(service.delete, json.loads(Path(name).read_text()))


def main() -> int:
    if sys.argv[1:2] == ["prepare"]:
        prepare(json.load(sys.stdin))
    elif sys.argv[1:2] == ["tidy"]:
        tidy(Service(sys.argv[2]))
    else:
        print("usage: load_targets.py prepare | tidy SERVICE", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
