"""A journal in a temporary file, with a clock that stands until a test moves it."""

import pytest

from scripts.journal.store import Store

NOON = 1_800_014_400.0  # 2027-01-15 12:00:00 UTC


class Clock:
    """The control host's clock, in the test's hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class Journal(Store):
    """A Store with words for what tests do over and over."""

    def take_lock(self, who="root@one", nonce="n1", lease=20, purpose="release r7", version="2.0.0"):
        holder = {"who": who, "purpose": purpose, "version": version, "nonce": nonce}
        return self.acquire({"holder": holder, "lease_seconds": lease})["token"]

    def start(self, token, number=7, version="2.0.0", **more):
        return self.begin({"release": document(number, version, **more), "token": token})["release"]

    def kinds(self):
        return [event["kind"] for event in self.events()["events"]]

    def texts(self):
        return [event["text"] for event in self.events()["events"]]


def document(number=7, version="2.0.0", **more):
    """A release's document, as the deployer sends it."""
    return {
        "id": f"r{number}-{version}",
        "number": number,
        "version": version,
        "sha256": "ab" * 32,
        "slot": "green",
        "previous": {"version": "1.0.0", "sha256": "cd" * 32, "slot": "blue"},
        "plan": {"strategy": "bluegreen", "gate": "person"},
        "revert": False,
        "origin": "pulumi",
        "who": "root@one",
        **more,
    }


def verdict(stage="smoke-1", state="passed", reason="all checks passed"):
    """A stage's verdict."""
    return {"stage": stage, "state": state, "ok": state == "passed", "reason": reason, "figures": {}, "seconds": 1.5}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(tmp_path, clock):
    return Journal(tmp_path / "journal.sqlite", clock)


@pytest.fixture
def running(journal):
    """A journal with a release in progress; its token is 1."""
    journal.start(journal.take_lock())
    return journal
