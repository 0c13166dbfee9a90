"""Make the list of a load's requests, each with the one answer that is right, and the items they need; remove them.

Runs on the test runner (standard library only). `prepare` reads a plan from standard input and writes into the current
directory `warmup.json` and `targets.json` (a request a line, in vegeta's format), `expected.json` (the right status
and a text of the right body for each «METHOD URL») and `made.json` (the items made). `tidy` deletes those, and those
the load created. `count` prints how many items the service lists.

A plan is {"service", "entrances", "seed", "warmup", "count", "deletes_end", "requests"}: `warmup` and `count` are
numbers of requests; `requests` is one of SHARES, of the sample's items, or a list of a user's own. No item has two
roles: what is deleted is neither read nor changed, so the order in which requests arrive is no matter. Requests from
`deletes_end` on, which only a load that goes on for long comes to, change an item where they would delete one: items
that are to be deleted have to be made first.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

# Of a hundred requests, so many of a kind. The mix: 70 read, 30 write. The thesis's one request has no query: it gets
# the service's default page, of a hundred items at most.
SHARES = {
    "mix": {"list": 28, "read": 40, "read-deleted": 2, "create": 12, "replace": 7, "change": 7, "delete": 4},
    "get": {"list": 40, "read": 60},
    "thesis": {"page": 100},
}
METHODS = {
    "page": "GET",
    "list": "GET",
    "read": "GET",
    "read-deleted": "GET",
    "create": "POST",
    "replace": "PUT",
    "change": "PATCH",
    "delete": "DELETE",
}
EXPECTED = {
    "page": 200,
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
PAGE = 1000
MADE = ("made.json", "created.json")  # the items that a load needs, and those that it made


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


@dataclass(frozen=True)
class Wanted:
    """A request and the answer that is right: its status, and a text that its body must contain (None: any body)."""

    target: Mapping[str, Any]
    status: int
    contains: str | None

    @property
    def key(self) -> str:
        """What tells it from others with another right answer."""
        return f"{self.target['method']} {self.target['url']}"


def kinds(count: int, dice: random.Random, shares: Mapping[str, int]) -> list[str]:
    """The kinds of `count` requests: every hundred has its shares, in an order of its own."""
    deck = [kind for kind, share in shares.items() for _ in range(share)]
    found: list[str] = []
    while len(found) < count:
        found += dice.sample(deck, len(deck))
    return found[:count]


def item_requests(
    order: Sequence[str], items: Items, entrances: Sequence[Entrance], dice: random.Random
) -> Iterator[Wanted]:
    """A request of items for every kind in the order; the number in its URL, if any, is its place in the order."""
    doomed = iter(items.doomed)
    for number, kind in enumerate(order):
        item = {"delete": lambda: next(doomed), "read-deleted": lambda: dice.choice(items.gone)}.get(
            kind, lambda: dice.choice(items.kept)
        )()
        path = "/item" if kind in ("page", "list", "create") else f"/item/{item}"
        query = {"page": "", "list": f"?limit=5&load={number}"}.get(kind, f"?load={number}")
        target = make_target(METHODS[kind], entrances[number % len(entrances)], path + query, body_of(kind, number))
        yield Wanted(target, EXPECTED[kind], right_text(kind, number, item))


def right_text(kind: str, number: int, item: str) -> str | None:
    """A text that the right answer to a kind of request contains."""
    texts = {"page": '"items"', "list": '"items"', "create": f'"load {number}"', "read-deleted": '"not_found"'}
    return texts.get(kind, None if kind == "delete" else item)


def body_of(kind: str, number: int) -> object:
    """The body that a kind of request has."""
    if kind in ("create", "replace"):
        return {"name": f"load {number}", "quantity": number, "tags": ["load"]}
    return {"quantity": number} if kind == "change" else None


def own_requests(
    described: Sequence[Mapping[str, Any]], count: int, entrances: Sequence[Entrance], dice: random.Random
) -> Iterator[Wanted]:
    """Requests of a user's own service, by their shares; «{number}» in a path or body is the request's own number."""
    shares = {str(place): int(request["share"]) for place, request in enumerate(described)}
    for number, place in enumerate(kinds(count, dice, shares)):
        request = described[int(place)]
        body = request.get("body")
        target = make_target(
            request["method"],
            entrances[number % len(entrances)],
            numbered(request["path"], number),
            None if body is None else numbered(body, number),
            request.get("headers") or {},
        )
        yield Wanted(target, int(request["status"]), numbered(request.get("contains"), number))


def numbered(value: Any, number: int) -> Any:
    """A text, or the texts in a table or list, with the request's number put in."""
    if isinstance(value, str):
        return value.replace("{number}", str(number))
    if isinstance(value, dict):
        return {key: numbered(part, number) for key, part in value.items()}
    return [numbered(part, number) for part in value] if isinstance(value, list) else value


def make_target(
    method: str, entrance: Entrance, path: str, body: object, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One request in vegeta's JSON format; a body that is no text is sent as JSON."""
    target: dict[str, Any] = {"method": method, "url": entrance.base + path}
    header = {name: [value] for name, value in (headers or {}).items()}
    if entrance.host:
        header["Host"] = [entrance.host]
    if body is not None:
        text = body if isinstance(body, str) else json.dumps(body)
        if not isinstance(body, str):
            header.setdefault("Content-Type", ["application/json"])
        target["body"] = base64.b64encode(text.encode()).decode()
    return target | ({"header": header} if header else {})


class Service:
    """The service as this program itself uses it: one request on a connection, tried again, for it only prepares."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create(self, number: int) -> str:
        """Make an item and return its id."""
        body = json.dumps({"name": f"load, made before {number}", "quantity": 1, "tags": ["load"]})
        return str(json.loads(self._ask("POST", "/item", 201, body))["id"])

    def delete(self, item: str) -> None:
        """Delete an item; one that is gone already is no mistake, for the load may have deleted it."""
        self._ask("DELETE", f"/item/{item}", 204)

    def count(self) -> int:
        """How many items it lists, page by page."""
        found, path = 0, f"/item?limit={PAGE}"
        while True:
            page = json.loads(self._ask("GET", path, 200))
            found += len(page["items"])
            if not page.get("next"):
                return found
            path = f"/item?limit={PAGE}&page_state={page['next']}"

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


def prepare(plan: Mapping[str, Any]) -> None:
    """Make the items the plan needs, write the files."""
    dice = random.Random(int(plan["seed"]))  # noqa: S311 - a mix, no secret
    entrances = [Entrance(**entrance) for entrance in plan["entrances"]]
    if isinstance(plan["requests"], str):
        wanted = prepare_items(plan, entrances, dice)
    else:
        wanted = own_requests(plan["requests"], plan["warmup"] + plan["count"], entrances, dice)
    expected: dict[str, tuple[int, str | None]] = {}
    with Path("warmup.json").open("w") as warmup, Path("targets.json").open("w") as targets:
        for number, request in enumerate(wanted):
            print(json.dumps(request.target), file=warmup if number < plan["warmup"] else targets)
            expected[request.key] = request.status, request.contains
    Path("expected.json").write_text(json.dumps(expected))


def prepare_items(plan: Mapping[str, Any], entrances: Sequence[Entrance], dice: random.Random) -> Iterator[Wanted]:
    """Make the items of the sample service, and the requests of them."""
    service, end = Service(str(plan["service"])), int(plan["deletes_end"])
    order = kinds(plan["warmup"] + plan["count"], dice, SHARES[plan["requests"]])
    order[end:] = ["change" if kind == "delete" else kind for kind in order[end:]]
    made = in_parallel(service.create, range(KEPT + GONE + order.count("delete")))
    Path("made.json").write_text(json.dumps(made))
    items = Items(made[:KEPT], made[KEPT : KEPT + GONE], made[KEPT + GONE :])
    in_parallel(service.delete, items.gone)
    return item_requests(order, items, entrances, dice)


def tidy(service: Service) -> None:
    """Delete every item that the load knows of; the first that cannot be deleted is raised when all were tried."""
    files = [Path(name) for name in MADE if Path(name).exists()]
    in_parallel(service.delete, [item for file in files for item in json.loads(file.read_text())])


def main() -> int:
    """Do what the command line says."""
    match sys.argv[1:]:
        case ["prepare"]:
            prepare(json.load(sys.stdin))
        case ["tidy", service]:
            tidy(Service(service))
        case ["count", service]:
            print(Service(service).count())
        case _:
            print("usage: targets.py prepare | tidy SERVICE | count SERVICE", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
