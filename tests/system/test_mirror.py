# ruff: noqa: S608 - the tables' names are the laboratory's own
"""The mirror on a real ring: both tables written at once stay the same, and what could break that is refused or named.

Needs no stack: three Cassandra nodes on loopback addresses, with the host image's jars, and javac.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cassandra import InvalidRequest

from scripts.mirror.build import build
from scripts.tables import counting, ending, mirroring, structure
from scripts.tables.errors import Refused
from tests.system.checker_ring import Ring, cassandra_jars
from tests.system.mirror_lab import KEYSPACE, NEW, OLD, MirrorLab, require_logins

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.environ.get("EVENKEEL_THOROUGH") != "1", reason="EVENKEEL_THOROUGH=1 runs it: minutes long"),
]

OPERATIONS = 10_000
JAR = "evenkeel-mirror.jar"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirrorLab]:
    """Three nodes that have the jar."""
    folder = tmp_path_factory.mktemp("ring")
    jars = cassandra_jars(folder)
    if jars is None or shutil.which("javac") is None:
        pytest.skip("no Cassandra jars (make up builds the host image), or no javac")
    ring = Ring(jars, folder, nodes=3)
    require_logins(ring)
    for node in ring.nodes:
        shutil.copyfile(build(), node.triggers / JAR)
    with ring:
        made = MirrorLab(ring)
        made.make()
        yield made


def rows(lab: MirrorLab, table: str, shop: str) -> list[int]:
    """The ids of a shop's rows."""
    with lab.session() as session:
        found = session.execute(f"SELECT id FROM {KEYSPACE}.{table} WHERE shop = %s", (shop,))
        return sorted(row.id for row in found if row.id is not None)


def test_1_every_node_is_tried_before_a_trigger_meets_a_user(lab: MirrorLab) -> None:
    lab.verb(structure.create)
    assert lab.verb(structure.create)["tables"] == {NEW: "present"}
    path: Path = lab.ring.node(2).mirror / f"{KEYSPACE}.{OLD}.json"
    kept = path.read_text("utf-8")
    path.write_text(kept.replace('"to": "summary"', '"to": "resume"'), "utf-8")
    with pytest.raises(Refused, match=r"1 of 3 .*\.2: .*item_r2 has no column resume"):
        lab.verb(mirroring.mirror, direction="forward", on=True)
    assert lab.verb(structure.inspect)["tables"][OLD]["triggers"] == []
    path.write_text(kept, "utf-8")


def test_2_a_statement_that_was_prepared_before_the_trigger_meets_it_too(lab: MirrorLab) -> None:
    with lab.session() as session:
        insert = session.prepare(f"INSERT INTO {KEYSPACE}.{OLD} (shop, id, description) VALUES ('prepared', ?, 'x')")
        for number in range(9):
            session.execute(insert, (number,))
        lab.pair()
        assert lab.verb(mirroring.mirrored)["tables"] == {OLD: True, NEW: True}
        for number in range(10, 40):
            session.execute(insert, (number,))
        assert rows(lab, NEW, "prepared") == list(range(10, 40))  # those before it are the copy's business
        session.execute(f"DELETE FROM {KEYSPACE}.{OLD} WHERE shop = 'prepared'")
    assert rows(lab, NEW, "prepared") == []


def test_3_two_tables_written_at_once_at_random_stay_the_same(lab: MirrorLab) -> None:
    rate = lab.write(OPERATIONS)
    assert not lab.failed, lab.failed[:3]
    time.sleep(1)
    assert lab.differences() == []
    print(f"{rate:.0f} operations a second, {lab.verb(counting.count)['tables']}")


def test_4_a_conditional_write_is_refused_by_cassandra(lab: MirrorLab) -> None:
    with lab.session() as session, pytest.raises(InvalidRequest, match="does not match primary update table"):
        session.execute(f"INSERT INTO {KEYSPACE}.{OLD} (shop, id) VALUES ('lwt', 1) IF NOT EXISTS")
    assert rows(lab, OLD, "lwt") == rows(lab, NEW, "lwt") == []


def test_5_a_value_the_old_type_cannot_hold_is_null_there(lab: MirrorLab) -> None:
    with lab.session() as session:
        session.execute(f"INSERT INTO {KEYSPACE}.{OLD} (shop, id, quantity) VALUES ('wide', 1, 7)")
        session.execute(f"UPDATE {KEYSPACE}.{NEW} SET quantity = 3000000000 WHERE shop = 'wide' AND id = 1")
        found = session.execute(f"SELECT quantity FROM {KEYSPACE}.{OLD} WHERE shop = 'wide'").one()
        assert found.quantity is None
        session.execute(f"DELETE FROM {KEYSPACE}.{NEW} WHERE shop = 'wide'")


def test_6_a_node_that_comes_back_mirrors_at_once_and_catches_up(lab: MirrorLab) -> None:
    node = lab.ring.node(3)
    node.kill()
    lab.write(500, seed=2)
    with pytest.raises(Refused, match="down; triggers change only while every node is up"):
        lab.verb(mirroring.mirror, direction="forward", on=True)
    node.start()
    lab.wait_until_whole()
    assert len(lab.verb(mirroring.probe)["nodes"]) == 3
    lab.failed.clear()  # writes of the first seconds, when the others took it for alive, were not acknowledged
    lab.write(500, seed=3)
    assert lab.failed == []
    lab.ring.nodetool(1, "repair", "--full", KEYSPACE)
    assert lab.differences() == []


def test_7_a_node_without_the_jar_fails_its_writes_and_is_named(lab: MirrorLab) -> None:
    node = lab.ring.node(2)
    jar = node.triggers / JAR
    kept = jar.read_bytes()
    jar.unlink()
    lab.ring.nodetool(2, "reloadtriggers")
    with pytest.raises(Refused, match=rf"1 of 3 .*{node.address}: its Cassandra cannot load the mirror's program"):
        lab.verb(mirroring.probe)
    jar.write_bytes(kept)
    lab.ring.nodetool(2, "reloadtriggers")
    assert len(lab.verb(mirroring.probe)["nodes"]) == 3


def test_8_a_dropped_table_leaves_prepared_statements_of_the_other_working(lab: MirrorLab) -> None:
    with lab.session() as session:
        insert = session.prepare(f"INSERT INTO {KEYSPACE}.{OLD} (shop, id) VALUES ('after', ?)")
        session.execute(insert, (1,))
        assert lab.verb(ending.drop, which="target")["dropped"] == [NEW]
        assert lab.verb(ending.drop, which="target")["dropped"] == []
        for number in range(2, 30):
            session.execute(insert, (number,))
    assert rows(lab, OLD, "after") == list(range(1, 30))
