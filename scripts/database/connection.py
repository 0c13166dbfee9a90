"""Sessions with the ring: logins, waiting until every node answers, statements that change the schema.

The one place that makes cassandra-driver's clusters. Reads and writes are at QUORUM unless a caller says otherwise.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException, OperationTimedOut
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy

from scripts.database.errors import LoginRefusedError, RingError
from scripts.database.request import Ring

ADMIN = "evenkeel_admin"
APP = "app"
DEFAULT_LOGIN = ("cassandra", "cassandra")
PROTOCOL = 5
# Times the ring's slowness, all three.
REQUEST_SECONDS, CONNECT_SECONDS, AGREEMENT_SECONDS = 30, 5, 30
POLL_SECONDS = 1.0
SPEAK_SECONDS = 10.0

# A lost node is no news to a program that waits for it and says so itself.
logging.getLogger("cassandra").setLevel(logging.CRITICAL)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Login:
    """A role and its password."""

    role: str
    password: str


def say(text: str) -> None:
    """Tell a person how it goes, on standard error."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def connected(ring: Ring, login: Login) -> Iterator[Session]:
    """Give a session as `login`. Raises LoginRefusedError or RingError; no waiting, one attempt."""
    policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(ring.datacenter))
    profile = ExecutionProfile(
        load_balancing_policy=policy,
        consistency_level=ConsistencyLevel.QUORUM,
        request_timeout=REQUEST_SECONDS * ring.slowness,
    )
    cluster = Cluster(
        list(ring.contact_points),
        port=ring.port,
        auth_provider=PlainTextAuthProvider(login.role, login.password),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=PROTOCOL,
        connect_timeout=CONNECT_SECONDS * ring.slowness,
        max_schema_agreement_wait=AGREEMENT_SECONDS * ring.slowness,
    )
    try:
        yield _connect(cluster, login)
    finally:
        cluster.shutdown()


def _connect(cluster: Cluster, login: Login) -> Session:
    try:
        return cluster.connect(wait_for_all_pools=True)
    except NoHostAvailable as error:
        causes = list(error.errors.values())
        if any(isinstance(cause, AuthenticationFailed) for cause in causes):
            raise LoginRefusedError(f"the ring does not take the login of {login.role}") from error
        words = "; ".join(f"{host}: {cause}" for host, cause in error.errors.items())
        raise RingError(f"no node of the ring answers ({words})") from error
    except DriverException as error:
        raise RingError(f"the ring does not answer: {error}") from error


def patiently(what: str, seconds: float, attempt: Callable[[], Found | str]) -> Found:
    """Call `attempt` until it returns something else than a text; the text says what is still missing.

    Says every ten seconds what it waits for. Raises RingError after `seconds`.
    """
    begin = spoken = time.monotonic()
    while isinstance(outcome := attempt(), str):
        now = time.monotonic()
        if now - begin > seconds:
            raise RingError(f"{what} did not happen in {seconds:.0f} s: {outcome}")
        if now - spoken > SPEAK_SECONDS:
            spoken = now
            say(f"waiting for {what}, {now - begin:.0f} s: {outcome}")
        time.sleep(POLL_SECONDS)
    return outcome


def takes(ring: Ring, login: Login) -> bool:
    """Return whether the ring takes this login."""
    try:
        with connected(ring, login):
            return True
    except LoginRefusedError:
        return False


def addresses_up(session: Session) -> set[str]:
    """Return the addresses of the nodes to which this session has a connection."""
    return {host.address for host in session.cluster.metadata.all_hosts() if host.is_up}


def wait_for_nodes(session: Session, ring: Ring) -> None:
    """Return once every contact point answers and all of them agree on the schema."""

    def lacking() -> str | bool:
        down = sorted(set(ring.contact_points) - addresses_up(session))
        if down:
            return f"no answer from {', '.join(down)}"
        return agree(session)

    patiently("every node of the ring", ring.deadline_seconds, lacking)


def agree(session: Session) -> str | bool:
    """Return True when all nodes have one schema, else a text with how many they have: an attempt for `patiently`."""
    versions = schema_versions(session)
    return f"{len(versions)} versions of the schema" if len(versions) > 1 else True


def schema_versions(session: Session) -> set[str]:
    """Return the schema versions that the nodes have, as one node has heard of them; one is agreement."""
    rows = [*session.execute("SELECT schema_version FROM system.local")]
    rows += session.execute("SELECT schema_version FROM system.peers_v2")
    return {str(row.schema_version) for row in rows}


def change(session: Session, statement: str) -> None:
    """Run a statement that changes the schema; return when all nodes that are up agree on it."""
    future = session.execute_async(statement)
    try:
        future.result()
    except OperationTimedOut as error:
        raise RingError(f"the ring took too long for «{statement[:40]}»; run it again") from error
    if not future.is_schema_agreed:
        waited = session.cluster.max_schema_agreement_wait
        raise RingError(f"the nodes do not agree on the schema after {waited:.0f} s; run it again")


def rows_of(session: Session, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Return all rows that a statement finds."""
    return list(session.execute(statement, tuple(parameters) or None))
