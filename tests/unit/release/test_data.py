"""What a data document means to those who route and drop: which side of a pair is old, which pair lies between two."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from scripts.release.control_tables import command_of
from scripts.release.data import configs, old_side, pair_between, share_tables
from scripts.release.data_checks import say_what_stays_behind
from scripts.release.documents import Version
from scripts.release.identify import Wanted, compose, plain
from scripts.release.jobs import Users
from scripts.release.users import slowest

TABLE: dict[str, Any] = {
    "name": "item",
    "source": "item",
    "target": "item_r7",
    "key": ["id"],
    "partition": ["id"],
    "source_columns": {"id": "uuid", "description": "text", "tags": "set<text>"},
    "target_columns": {"id": "uuid", "summary": "text", "category": "text"},
    "pairs": [{"source": "description", "target": "summary", "from": "text", "to": "text"}],
    "added": [{"target": "category", "type": "text", "default": "general"}],
    "dropped": ["tags"],
    "statics": [],
}
DATA: dict[str, Any] = {"keyspace": "evenkeel", "names": {"item": "item_r7"}, "tables": [TABLE], "created": []}
OLD, NEW = Version("1.0.0", "a", "blue"), Version("4.0.0", "b", "green", {"item": "item_r7"})


@pytest.mark.parametrize(
    ("names", "side"),
    [({}, "target"), ({"item": "item"}, "target"), ({"item": "item_r7"}, "source"), ({"item": "x"}, "")],
)
def test_the_side_that_the_live_version_does_not_use_is_the_old_one(names: dict[str, str], side: str) -> None:
    assert old_side(DATA, names) == side


def test_nodes_are_told_both_directions_and_defaults_only_forward() -> None:
    forward, reverse = configs(DATA)
    assert (forward["table"], forward["twin"]) == ("item", "item_r7") == (reverse["twin"], reverse["table"])
    assert forward["columns"] == [{"from": "description", "to": "summary", "type": "text", "twin_type": "text"}]
    assert reverse["columns"] == [{"from": "summary", "to": "description", "type": "text", "twin_type": "text"}]
    assert forward["defaults"] == [{"column": "category", "type": "text", "value": "general"}]
    assert reverse["defaults"] == []


def test_what_no_way_back_brings_to_the_old_version_is_what_was_added_or_widened() -> None:
    def pair(name: str, old: str, new: str) -> dict[str, str]:
        return {"source": name, "target": name, "from": old, "to": new}

    pairs = [*TABLE["pairs"], pair("quantity", "int", "bigint"), pair("note", "varchar", "text")]
    work: Any = SimpleNamespace(figures={}, say=lambda text: None)
    say_what_stays_behind(work, {"tables": [{**TABLE, "pairs": pairs}]})
    assert work.figures["only_new"] == ["item.category", "item.quantity that int cannot hold"]
    work.figures.clear()
    say_what_stays_behind(work, {"tables": [{**TABLE, "added": []}]})
    assert work.figures == {}


def test_a_pair_lies_between_the_versions_of_its_two_tables() -> None:
    pair = {"release": "r7", "state": "level", "data": DATA}
    assert pair_between([pair], OLD, NEW) == pair_between([pair], NEW, OLD) == pair
    assert pair_between([pair], OLD, Version("3.0.0", "c", "green", {"item": "item_r3"})) is None
    assert pair_between([], OLD, NEW) is None


def test_a_table_s_own_name_goes_without_saying() -> None:
    assert share_tables(OLD, Version("1.1.0", "c", "green", {"item": "item"}))
    assert not share_tables(OLD, NEW)


def test_a_version_is_the_same_whatever_its_tables_are_called() -> None:
    assert Version("4.0.0", "b", "green") == NEW
    assert Version.parse(NEW.as_dict()).tables == {"item": "item_r7"}  # type: ignore[union-attr]
    assert "tables" not in OLD.as_dict()


def test_users_times_need_requests_enough() -> None:
    assert slowest([{"a-blue": {"times_ms": [1.0] * 20}}, {"a-blue": {"times_ms": [2.0] * 20}}]) is None
    found = slowest([{"a-blue": {"times_ms": [1.0] * 60}}, {"a-blue": {"times_ms": [9.0] * 40}}])
    assert found == 9.0


def test_load_balancers_are_asked_for_users_times_one_after_another_and_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Balancers:
        reachable = ("lb-a", "lb-b")
        asked: ClassVar[list[list[str]]] = []
        times: ClassVar[dict[str, float]] = {"lb-a": 10.0, "lb-b": 10.0}

        def samples(self, _: float, names: list[str]) -> dict[str, Any]:
            self.asked.append(list(names))
            return {name: {"a-blue": {"times_ms": [self.times[name]] * 100}} for name in names}

    for name in ("ROUND_SECONDS", "BETWEEN_SECONDS"):
        monkeypatch.setattr(f"scripts.release.jobs.{name}", 0.0)
    balancers = Balancers()
    users = Users(cast("Any", balancers), 10.0)
    told = [users.look(), users.look()]
    balancers.times["lb-a"] = 90.0
    told += [users.look(), users.look()]
    assert balancers.asked == [["lb-a"], ["lb-b"], ["lb-a"], ["lb-b"]]
    assert [each["users"] for each in told] == [{"p99_ms": p99, "p99_before_ms": 10.0} for p99 in (10, 10, 90, 90)]
    assert users.worst_ms == 90.0


@pytest.mark.parametrize(("changes", "begins"), [(True, "exec flock --wait "), (False, "exec env ")])
def test_what_changes_tables_waits_for_what_a_stopped_stage_left_at_work(changes: bool, begins: str) -> None:
    line = command_of("drop", 180.0, changes)
    assert line.partition(" && ")[2].startswith(begins)
    assert line.endswith("timeout -s KILL 180 python3 -m scripts.tables drop")


def test_a_release_is_named_with_the_pairs_that_are_there_and_stays_named_so() -> None:
    pair = {"release": "r7", "state": "level", "data": DATA}
    wanted = Wanted("4.0.0", "b", "item.tar.gz", {"groups": [["a"]]})
    document = compose(8, wanted, OLD, False, [pair])
    assert document["pairs"] == [pair]
    assert plain(document | {"data": DATA, "state": "in-progress", "stages": []}) == document
    assert "pairs" not in compose(8, wanted, OLD, False)


def test_tables_of_other_releases_are_taken_and_those_of_the_release_itself_are_not() -> None:
    from scripts.release.data_plan import held_elsewhere

    def pair(name: str, target: str, *created: str) -> dict[str, Any]:
        tables = [{"source": "item", "target": target}] if target else []
        return {"data": {"release": name, "tables": tables, "created": [{"target": one} for one in created]}}

    pairs = [pair("r5", "item_r5", "tag"), pair("r4", "", "note")]
    assert held_elsewhere(pairs, "r6") == {"item", "item_r5", "tag", "note"}
    assert held_elsewhere(pairs, "r5") == {"note"}
