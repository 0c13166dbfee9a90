"""A release that would change the data in a way that cannot be is refused in one sentence, and nothing is touched.

Versions that nobody needs to start: their manifests are 4.0.0's with one thing otherwise, released on top of 1.0.0.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.database.connection import ADMIN, Login, connected
from scripts.tables.request import read_ring
from tests.system.deployer import Deployment, Ended, configure, journal
from tests.system.running import ROOT, RunningStack
from tests.system.test_data_release import FIRST, back_to_first, first_place, make_first_again, mirrors

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.environ.get("EVENKEEL_THOROUGH") != "1", reason="EVENKEEL_THOROUGH=1 runs it: minutes long"),
]

VERSION = "9.9.0"
MANIFEST = (ROOT / "app/releases/4.0.0/evenkeel.toml").read_text("utf-8")
RENAME = 'rename = { description = "summary" }\n'
WIDEN = 'widen = { quantity = "bigint" }\n'
SMALL = """set -e; cd /var/lib/cassandra; mkdir -p /run/small; mount -t tmpfs -o size=256k small /run/small
for each in *; do
  if [ -d "$each" ]; then mkdir "/run/small/$each"; mount --bind "$each" "/run/small/$each"
  else touch "/run/small/$each"; mount --bind "$each" "/run/small/$each"; fi
done
dd if=/dev/zero of=/run/small/full bs=4k 2>/dev/null || true
mount --rbind /run/small /var/lib/cassandra"""
LARGE = "for each in /var/lib/cassandra /run/small; do umount -R $each || umount -R -l $each; done"


@pytest.fixture(autouse=True)
def _first(stack: RunningStack) -> Iterator[None]:
    """Begin and leave with 1.0.0."""
    back_to_first(stack)
    yield
    configure(version=FIRST)
    for path in (ROOT / "artifacts").glob(f"*{VERSION}*"):
        path.unlink()


def refused(stack: RunningStack, manifest: str, folder: Path) -> str:
    """Pack and release a version of this manifest, which is refused and touches nothing; return what was said."""
    before = journal(stack.inventory).read()
    (folder / "evenkeel.toml").write_text(manifest.replace("4.0.0", VERSION), "utf-8")
    (folder / "server.js").write_text("process.exit(1)\n", "utf-8")
    pack = [str(ROOT / ".venv/bin/python"), "-m", "scripts.artifact", "pack", "--from", str(folder)]
    done = subprocess.run(pack, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # what no table can be is refused when it is packed
        return " ".join(done.stderr.split())
    ended = deploy()
    assert ended.status != 0, ended.said[-2000:]
    after = journal(stack.inventory).read()
    assert (after["live"], after["pairs"]) == (before["live"], before["pairs"]) and mirrors(stack) == set()
    return " ".join(ended.said.split())


def deploy() -> Ended:
    """Ask for the version and run `pulumi up`."""
    configure(version=VERSION)
    with Deployment() as deployment:
        return deployment.end()


def changed(*pairs: tuple[str, str]) -> str:
    """4.0.0's manifest with texts replaced, each of which it has."""
    manifest = MANIFEST
    for before, after in pairs:
        assert before in manifest, before
        manifest = manifest.replace(before, after)
    return manifest


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (
            changed(('primary_key = ["id"]', 'primary_key = ["id", "name"]')),
            "the primary key of item would change from (id uuid) to (id uuid, name text), which no migration can: make"
            " a table of another name",
        ),
        (
            changed(('quantity = "bigint"\ntags', 'quantity = "smallint"\ntags'), (WIDEN, "")),
            "item.quantity would be narrowed from int to smallint, and values that do not fit would be lost: keep the"
            " type, or add a column of another name",
        ),
        (
            changed(('quantity = "bigint"\ntags', 'quantity = "text"\ntags'), (WIDEN, "")),
            "item.quantity would change from int to text, which is no known widening: keep the type, or add a column of"
            " another name",
        ),
        (
            changed((WIDEN, "")),
            "item.quantity changes from int to bigint, but the migration does not say so: name it in widen",
        ),
        (
            changed(('category = "text"\ncreated_at', 'category = "text"\nhits = "counter"\ncreated_at')),
            "hits the type 'counter': tables with counters can be neither copied nor mirrored",
        ),
        (
            changed((RENAME, 'rename = { details = "summary" }\n')),
            "the migration of item renames details, which the live table does not have: 9.9.0 comes from another"
            " version than the live one, so release that one first, or go back with `evenkeel undo`",
        ),
        (
            changed((RENAME, "")),
            "item.summary is new in 9.9.0, but its migration does not say where it comes from: name it in add or"
            " rename, or release the version between first",
        ),
        (
            MANIFEST[: MANIFEST.index("[[migrations]]")] + MANIFEST[MANIFEST.index("[[smoke]]") :],
            "9.9.0 does not say how its table item comes from the live one (summary is new, category is new,"
            " description is gone, quantity is bigint, not int):"
            " give it in [[migrations]], or go back with `evenkeel undo`",
        ),
    ],
)
def test_a_migration_that_cannot_be_is_refused_and_nothing_is_touched(
    stack: RunningStack, tmp_path: Path, manifest: str, sentence: str
) -> None:
    said = refused(stack, manifest, tmp_path)
    print(next((line for line in re.split(r"(?=release-)", said) if sentence in line), said[-1500:]))
    assert sentence in said, said[-3000:]


def test_a_node_without_room_for_a_second_copy_is_named_beforehand(stack: RunningStack, tmp_path: Path) -> None:
    """The node's data directory on a file system that is full, in which its real directories are bound."""
    table = first_place(stack).table
    stack.on("db-c", f"nodetool flush evenkeel {table}")
    stack.on("db-c", SMALL)
    try:
        said = refused(stack, MANIFEST, tmp_path)
    finally:
        stack.on("db-c", LARGE, check=False)
    sentence = rf"db-c has 0 MiB free, and a second copy of {table} needs [1-9]\d* MiB there while it is made"
    assert re.search(sentence, said), said


def test_a_table_with_conditional_writes_is_refused(stack: RunningStack, tmp_path: Path) -> None:
    """Cassandra refuses them on mirrored tables. It forgets them only after hours, so the stack is made anew."""
    table, ring = first_place(stack).table, read_ring({"ring": dict(stack.inventory.ring)})
    with connected(ring, Login(ADMIN, ring.admin_password)) as session:
        session.execute(f"INSERT INTO evenkeel.{table} (id, name) VALUES (uuid(), 'one') IF NOT EXISTS")  # noqa: S608
    said = refused(stack, MANIFEST, tmp_path)
    make_first_again(stack)
    assert f"the table {table} is written with conditions" in said, said[-2000:]
