"""The journal knows which tables live in pairs, from before the first is made until one of the two is gone."""

from __future__ import annotations

import pytest

from scripts.journal.store import MisuseError, Refused, Store
from tests.unit.journal.conftest import Clock

DATA = {"number": 7, "names": {"item": "item_r7"}, "tables": [{"name": "item", "source": "item", "target": "item_r7"}]}


def test_a_pair_is_there_from_its_making_until_it_is_dropped(running: Store, clock: Clock) -> None:
    assert running.read()["pairs"] == []
    made = running.pair({"id": "r7-2.0.0", "state": "making", "data": DATA})["pair"]
    assert made == {"release": "r7-2.0.0", "state": "making", "at": clock.now, "data": DATA}
    for state in ("level", "dropping"):
        assert running.pair({"id": "r7-2.0.0", "state": state})["pair"]["state"] == state
        assert running.read()["pairs"][0]["data"] == DATA
    running.pair({"id": "r7-2.0.0", "state": "dropped", "reason": "eve said so"})
    assert running.read()["pairs"] == []
    said = [event["text"] for event in running.events()["events"] if event["kind"].startswith("tables-")]
    assert said == [
        "release r7-2.0.0 makes a second table beside item",
        "release r7-2.0.0 keeps item and item_r7 level, both ways",
        "release r7-2.0.0 takes down the mirror between item and item_r7",
        "release r7-2.0.0 has one table again: item and item_r7 are no pair any more: eve said so",
    ]


def test_the_same_word_twice_is_no_news(running: Store) -> None:
    for _ in range(2):
        running.pair({"id": "r7-2.0.0", "state": "making", "data": DATA})
    assert [event["kind"] for event in running.events()["events"]].count("tables-making") == 1


def test_a_pair_nobody_made_and_a_release_nobody_knows_are_refused(running: Store) -> None:
    with pytest.raises(Refused, match=r"^release r7-2.0.0 has made no tables$"):
        running.pair({"id": "r7-2.0.0", "state": "level"})
    with pytest.raises(Refused, match=r"^there is no release r9$"):
        running.pair({"id": "r9", "state": "making", "data": DATA})
    with pytest.raises(MisuseError, match="state"):
        running.pair({"id": "r7-2.0.0", "state": "done"})


@pytest.mark.parametrize("state", ["making", "level", "apart", "left"])
def test_what_is_being_dropped_is_never_a_pair_again(running: Store, state: str) -> None:
    running.pair({"id": "r7-2.0.0", "state": "making", "data": DATA})
    for _ in range(2):
        running.pair({"id": "r7-2.0.0", "state": "dropping"})
    with pytest.raises(Refused, match=r"the tables of r7-2\.0\.0 are being taken apart"):
        running.pair({"id": "r7-2.0.0", "state": state, "data": DATA})
    assert running.read()["pairs"][0]["state"] == "dropping"
