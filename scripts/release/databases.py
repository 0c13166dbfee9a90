"""The database nodes' hosts: the mirror's program and its configurations, and the room on their disks."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.release.app_servers import failed
from scripts.release.documents import Stack, listed
from scripts.release.errors import StageFailedError
from scripts.release.fleet import Fleet, ask
from scripts.ssh import Session, SshError

DATA = "/var/lib/cassandra"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
IMPORT_SECONDS, FLUSH_SECONDS = 1_800.0, 60.0


@dataclass(frozen=True)
class Room:
    """What a node's disk has: which one it is, bytes that are free there, and those that some tables take there.

    `disk` is the same for nodes that share one: containers of one machine see one kernel, whose boot id tells it from
    others', and under it the same device. What lies behind the disks of virtual machines cannot be seen from within.
    """

    disk: str
    free: int
    used: int


class Databases(Fleet):
    """Every database node's host. What is done must be done on all of them, so one that is away is an error."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, stack.of("db"))

    def mirrors(self) -> dict[str, dict[str, Any]]:
        """Return what each node has of the mirror: {host: {"jar_sha256", "pairs": {"keyspace.table": twin}}}."""
        return self.all(lambda session: ask(session, ["evenkeel-mirror", "state"]))

    def configure(self, configs: Sequence[Mapping[str, Any]]) -> None:
        """Give every node these directions' configurations."""
        self.all(lambda session: tell(session, ["evenkeel-mirror", "configure"], list(configs)))

    def forget_pairs(self, tables: Iterable[str]) -> None:
        """Take these tables' («keyspace.table») configurations from every node."""
        names = sorted(tables)
        if names:
            self.all(lambda session: tell(session, ["evenkeel-mirror", "remove"], {"tables": names}))

    def take_over(self, request: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Have every node take over its own files of one table: {host: {"sstables", "bytes", "seconds"}}."""
        return self.all(lambda session: ask(session, ["evenkeel-import"], request, IMPORT_SECONDS))

    def room(self, keyspace: str, tables: Sequence[str]) -> dict[str, Room]:
        """Return for each host what its data's disk has, and these tables have of it."""
        return self.all(lambda session: room_on(session, keyspace, tables))

    def all(self, action: Any) -> dict[str, Any]:
        """Do something on every host at once; raises StageFailedError naming those where it did not work."""
        answers = self.each(lambda _, session: action(session))
        wrong = {name: answer for name, answer in answers.items() if isinstance(answer, SshError)}
        if wrong:
            said = "; ".join(f"{name}: {failed(error)}" for name, error in wrong.items())
            raise StageFailedError(f"not every database node's host could do it: {said}")
        return answers


def tell(session: Session, command: list[str], document: Any) -> Any:
    """Run a host tool that reads JSON and says nothing that is needed."""
    ask(session, command, document)


def room_on(session: Session, keyspace: str, tables: Sequence[str]) -> Room:
    """Return what a node's disk has, and what these tables take there, without snapshots; what is in memory counts."""
    session.run(["nodetool", "flush", keyspace, *tables], timeout=FLUSH_SECONDS)
    machine, device = session.run(["cat", BOOT_ID]).stdout.strip(), session.run(["stat", "--format=%d", DATA]).stdout
    free = int(session.run(["df", "--block-size=1", "--output=avail", DATA]).stdout.split()[-1])
    folders = " ".join(f"{shlex.quote(f'{DATA}/data/{keyspace}/{table}')}-*/" for table in tables)
    sizes = session.run(f"du --bytes --summarize --exclude=snapshots --exclude=backups {folders}", check=False).stdout
    used = sum(int(line.split()[0]) for line in sizes.splitlines() if line.split()[:1])
    return Room(f"{machine} {device.strip()}", free, used)


def check_jars(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Fail unless every node has the mirror's program, and the same one."""
    without = sorted(name for name, state in found.items() if not state.get("jar_sha256"))
    if without:
        raise StageFailedError(
            f"{listed(without)} {'has' if len(without) == 1 else 'have'} no mirror program, without which writes there"
            " would fail; `pulumi up` with the live version's number installs it"
        )
    if len({state["jar_sha256"] for state in found.values()}) > 1:
        raise StageFailedError(
            f"{listed(found)} have different mirror programs; `pulumi up` with the live version's number makes them one"
        )
