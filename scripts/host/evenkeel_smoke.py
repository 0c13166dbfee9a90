#!/usr/bin/python3
"""A manifest's smoke checks against one slot directly, and its GETs for warming up; a module of evenkeel-slot."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHECK_SECONDS = 5.0
MAX_MS = 2000
WARM_SECONDS = 20.0
LONGEST_PAUSE = 0.1
LARGEST = 16 << 20
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

Check = Mapping[str, Any]


class FailedError(Exception):
    """Why a check failed, as the part of a sentence after the check's name."""


@dataclass
class Answer:
    """What came back, and after how many milliseconds all of it was there."""

    status: int
    body: bytes
    ms: float


@dataclass
class Run:
    """One pass over the checks: the instance's address, and what earlier answers gave to later paths.

    All limits but the checks' own are `slowness` times as long as usual.
    """

    address: str
    slowness: int = 1
    captured: dict[str, str] = field(default_factory=dict)

    def ask(self, check: Check) -> Answer:
        """Send a check's request; the whole answer must be there within CHECK_SECONDS."""
        seconds = CHECK_SECONDS * self.slowness
        body = check.get("body")
        content = json.dumps(body) if isinstance(body, dict) else body
        path = PLACEHOLDER.sub(lambda match: self.captured[match.group(1)], check["path"])
        headers = {"Connection": "close"} | ({} if content is None else {"Content-Type": "application/json"})
        begin = time.monotonic()
        connection = http.client.HTTPConnection(self.address, timeout=seconds)
        try:
            connection.request(check.get("method", "GET"), path, content and content.encode(), headers)
            response = connection.getresponse()
            received = b""
            while chunk := response.read1(65536):
                received += chunk
                if time.monotonic() - begin > seconds or len(received) > LARGEST:
                    raise FailedError(f"the answer did not end within {seconds:g} s and {LARGEST >> 20} MiB")
            return Answer(response.status, received, (time.monotonic() - begin) * 1000)
        except TimeoutError:
            raise FailedError(f"no answer within {seconds:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise FailedError(f"no answer ({str(error) or type(error).__name__})") from None
        finally:
            connection.close()

    def pass_check(self, check: Check) -> float:
        """Make one check; return its milliseconds or raise FailedError."""
        answer = self.ask(check)
        text = answer.body.decode("utf-8", "replace")
        if answer.status != check["status"]:
            said = " ".join(text.split())[:160]
            raise FailedError(f"expected status {check['status']}, got {answer.status}{said and ': ' + said}")
        if check.get("contains", "") not in text:
            raise FailedError(f"the answer does not contain {check['contains']!r}")
        if "json" in check or check.get("capture"):
            content = as_json(text)
            if (problem := difference(check.get("json", {}), content)) is not None:
                raise FailedError(problem)
            for name, source in check.get("capture", {}).items():
                self.captured[name] = field_of(content, source)
        limit = check.get("max_ms", MAX_MS * self.slowness)
        if answer.ms > limit:
            raise FailedError(f"it took {answer.ms:.0f} ms, at most {limit} ms are allowed")
        return answer.ms

    def clean_up(self, rest: Sequence[Check]) -> None:
        """After a failure, still send the DELETEs that were to come, so that little is left behind in the database."""
        for check in rest:
            used = PLACEHOLDER.findall(check["path"])
            if check.get("method") == "DELETE" and all(name in self.captured for name in used):
                try:
                    self.ask(check)
                except FailedError:
                    return


def answers(address: str, path: str, seconds: float = 1) -> bool:
    """Tell whether `address` ("host:port") answers a GET of `path` with 200 within that time."""
    connection = http.client.HTTPConnection(address, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def as_json(text: str) -> Any:
    """Return the answer's JSON."""
    try:
        return json.loads(text)
    except ValueError:
        raise FailedError(f"the answer is not JSON: {text[:160]!r}") from None


def difference(wanted: Any, found: Any, where: str = "the answer") -> str | None:
    """Tell what of `wanted` is not in `found`; keys that are not wanted do not matter."""
    if not isinstance(wanted, dict):
        return None if wanted == found else f"{where} is {found!r}, expected {wanted!r}"
    if not isinstance(found, dict):
        return f"{where} is {found!r}, expected an object"
    for key, value in wanted.items():
        name = key if where == "the answer" else f"{where}.{key}"
        if key not in found:
            return f"the answer has no {name}"
        if (problem := difference(value, found[key], name)) is not None:
            return problem
    return None


def field_of(content: Any, source: str) -> str:
    """Return the value at a dotted path such as items.0.id, as the text that goes into a path."""
    found = content
    for part in source.split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise FailedError(f"the answer has no {source}") from None
    return str(found)


def smoke(address: str, checks: Sequence[Check], slowness: int = 1) -> dict[str, Any]:
    """Make the checks in order up to the first that fails."""
    run = Run(address, slowness)
    passed: list[dict[str, Any]] = []
    for number, check in enumerate(checks):
        try:
            passed.append({"name": check["name"], "ms": round(run.pass_check(check), 1)})
        except FailedError as failure:
            run.clean_up(checks[number + 1 :])
            reason = f"{check['name']}: {failure}"
            return {"passed": len(passed), "checks": passed, "failed": {"name": check["name"], "reason": reason}}
    return {"passed": len(passed), "checks": passed, "failed": None}


def warm(address: str, checks: Sequence[Check], count: int, slowness: int = 1) -> dict[str, Any]:
    """Send `count` of the checks' plain GETs, as many as fit into WARM_SECONDS, and tell how they went.

    One after another, with pauses as long as the answers took: users have the same database, and often the same
    processors. So what is busy gets fewer of them.
    """
    import statistics  # noqa: PLC0415 - a twentieth of what starting evenkeel-slot takes, and for nobody else

    plain = [check for check in checks if check.get("method", "GET") == "GET" and "{" not in check["path"]]
    run = Run(address, slowness)

    def one(number: int) -> float | None:
        check = plain[number % len(plain)]
        try:
            answer = run.ask(check)
        except FailedError:
            return None
        time.sleep(min(answer.ms / 1000, LONGEST_PAUSE))
        return answer.ms if answer.status == check["status"] else None

    times: list[float | None] = []
    end = time.monotonic() + WARM_SECONDS * slowness
    while plain and len(times) < count and time.monotonic() < end:
        times.append(one(len(times)))
    good = [ms for ms in times if ms is not None]
    return {
        "requests": len(times),
        "failed": len(times) - len(good),
        "p50_ms": round(statistics.median(good), 1) if good else None,
        "max_ms": round(max(good), 1) if good else None,
    }
