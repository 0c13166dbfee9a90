# ruff: noqa: S608, S311 - the statements' names and words, and their order by chance, are the laboratory's own
"""One scan of two tables on a real node makes the new one what the old one is, however the old one was written before.

Needs no stack: a Cassandra node on a loopback address with the host image's jars. No trigger, no mirror's program.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.tables import backfill, compare, estimate, scan, structure
from scripts.tables.progress import Progress
from scripts.tables.work import Work, written_down
from tests.system import mirror_lab
from tests.system.checker_ring import Ring, cassandra_jars
from tests.system.mirror_lab import KEYSPACE, NEW, OLD, MirrorLab, operation, require_logins

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.environ.get("EVENKEEL_THOROUGH") != "1", reason="EVENKEEL_THOROUGH=1 runs it: minutes long"),
]

OPERATIONS = 3_000
LATE_SECONDS = 120  # a TTL is copied some time after it was read, and the machine may be busy
BETWEEN, AROUND_SECONDS = 4.0, 5.0  # a scan and what was measured of it, on a machine that others use
KINDS = {"backfill": backfill.run, "scan": scan.run, "compare": compare.run}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirrorLab]:
    """One node with the old table, written at random, and the new one as the copy left it."""
    folder = tmp_path_factory.mktemp("ring")
    jars = cassandra_jars(folder)
    if jars is None:
        pytest.skip("no Cassandra jars (make up builds the host image)")
    ring = Ring(jars, folder, nodes=1)
    require_logins(ring)
    with pytest.MonkeyPatch.context() as patch, ring:
        patch.setattr(mirror_lab, "EXPIRY_SLACK", LATE_SECONDS)
        made = MirrorLab(ring, replicas=1)
        made.document["data"]["mirror"] = "scan"
        made.make()
        write_old(made, 1)
        made.verb(structure.create)
        run(made, "backfill")
        yield made


def write_old(lab: MirrorLab, seed: int, operations: int = OPERATIONS) -> None:
    """Do random operations of every kind on the old table."""
    chance = random.Random(seed)
    with lab.session() as session:
        for _ in range(operations):
            session.execute(operation(chance, OLD, next(lab.clock)), timeout=60)


def say(lab: MirrorLab, *statements: str) -> None:
    """Execute statements."""
    with lab.session() as session:
        for statement in statements:
            session.execute(statement, timeout=60)


def run(lab: MirrorLab, kind: str, **more: Any) -> dict[str, Any]:
    """Do long work to its end; return its figures."""
    document = {**lab.document, "kind": kind, "paced": False, "streams": 2, **more}
    progress, name = Progress(lab.ring.nodes[0].folder / "tables.sqlite"), f"{kind}-{time.monotonic_ns()}"
    progress.begin(name, kind, os.getpid())
    with lab.session() as session:
        work = Work(name, document, progress, session)
        with written_down(work):
            return KINDS[kind](work)


def differences(lab: MirrorLab) -> list[str]:
    """Return what differs and stays so: a cell may end after one table was read and before the other is."""
    for _ in range(4):
        if not (found := lab.differences()):
            break
        time.sleep(5)
    return found


def test_1_a_scan_while_users_write_brings_over_what_is_new_and_takes_nothing_back(lab: MirrorLab) -> None:
    write_old(lab, 2)
    say(lab, f"INSERT INTO {KEYSPACE}.{NEW} (shop, id, name) VALUES ('smoke', 1, 'a check')")
    figures = run(lab, "scan", deletes=False)
    assert figures["levelled"] > 0 and figures["taken_back"] == 0
    with lab.session() as session:
        assert session.execute(f"SELECT name FROM {KEYSPACE}.{NEW} WHERE shop = 'smoke'").one().name == "a check"


def test_2_a_scan_while_nothing_is_written_leaves_two_tables_that_are_the_same(lab: MirrorLab) -> None:
    write_old(lab, 3)
    say(
        lab,
        f"INSERT INTO {KEYSPACE}.{NEW} (shop, id, shelf, name, labels) VALUES ('smoke', 2, 's', 'a check', {{'x'}})",
        f"INSERT INTO {KEYSPACE}.{NEW} (shop, id) VALUES ('smoke', 3)",
        f"UPDATE {KEYSPACE}.{OLD} SET description = 'conditional' WHERE shop = 's1' AND id = 7 IF name != 'nobody'",
        f"INSERT INTO {KEYSPACE}.{OLD} (shop, id, name) VALUES ('conditional', 1, 'x') IF NOT EXISTS",
    )
    figures = run(lab, "scan", deletes=True)
    assert figures["differences"] == 0 and figures["levelled"] > 0 and figures["taken_back"] > 0, figures
    assert differences(lab) == []
    with lab.session() as session:
        assert session.execute(f"SELECT * FROM {KEYSPACE}.{NEW} WHERE shop = 'smoke'").all() == []
        assert session.execute(f"SELECT name FROM {KEYSPACE}.{NEW} WHERE shop = 'conditional'").one().name == "x"
    assert lab.verb(structure.inspect)["tables"][OLD]["triggers"] == []


def test_3_what_was_taken_back_can_be_written_again(lab: MirrorLab) -> None:
    say(lab, f"INSERT INTO {KEYSPACE}.{NEW} (shop, id, name) VALUES ('smoke', 1, 'after')")
    with lab.session() as session:
        assert session.execute(f"SELECT name FROM {KEYSPACE}.{NEW} WHERE shop = 'smoke'").one().name == "after"
    run(lab, "scan", deletes=True)


def test_4_a_second_scan_has_nothing_to_do_and_takes_about_as_long_as_measured(lab: MirrorLab) -> None:
    expected = lab.verb(estimate.measure)
    began = time.monotonic()
    figures = run(lab, "scan", deletes=True)
    took = time.monotonic() - began
    print(f"measured {expected}, took {took:.1f} s for {figures['rows']} rows")
    assert (figures["levelled"], figures["taken_back"], figures["differences"]) == (0, 0, 0)
    assert expected["rows"] > 0
    # What a preflight refuses by must not be of another size than what a freeze takes; around a scan, work begins.
    assert expected["seconds"] / BETWEEN - AROUND_SECONDS < took < expected["seconds"] * BETWEEN + AROUND_SECONDS


def test_5_before_there_is_a_new_table_the_old_one_stands_for_both(lab: MirrorLab) -> None:
    alone = {**lab.document, "data": {**lab.document["data"]}}
    alone["data"]["tables"] = [{**lab.document["data"]["tables"][0], "target": "item_r9"}]
    assert estimate.measure(alone)["seconds"] > 0


def test_6_a_new_row_that_was_written_over_is_named_and_not_taken_for_level(lab: MirrorLab) -> None:
    later = time.time_ns() // 1_000 + 60_000_000
    say(
        lab,
        f"INSERT INTO {KEYSPACE}.{OLD} (shop, id, name) VALUES ('over', 1, 'old')",
        f"INSERT INTO {KEYSPACE}.{NEW} (shop, id, name) VALUES ('over', 1, 'new') USING TIMESTAMP {later}",
    )
    figures = run(lab, "scan", deletes=True)
    assert figures["different"] == 1 and figures["examples"][0]["key"] == {"shop": "over", "id": "1"}
    say(lab, f"DELETE FROM {KEYSPACE}.{OLD} USING TIMESTAMP {later + 1} WHERE shop = 'over'")
    assert run(lab, "scan", deletes=True)["differences"] == 0


def test_7_a_comparison_copies_again_what_differs_where_it_is_told_to(lab: MirrorLab) -> None:
    # Written before the copy would write it: the twin is missing, and nothing newer stands against it.
    say(lab, f"INSERT INTO {KEYSPACE}.{OLD} (shop, id, name) VALUES ('repair', 1, 'x')")
    assert run(lab, "compare")["missing"] == 1
    figures = run(lab, "compare", repair=True)
    assert (figures["differences"], figures["ranges_repaired"]) == (0, 1), figures
    assert differences(lab) == []
