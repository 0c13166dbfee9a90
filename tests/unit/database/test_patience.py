"""Programs wait for a ring as long as it needs, and longer where it is slow."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.database import connection
from scripts.database.errors import RingError
from scripts.database.request import read_ring

DOCUMENT = {"contact_points": ["10.77.0.31"], "datacenter": "dc1", "admin_password": "hidden"}


class Cluster:
    """Notes what it is asked for, and connects to nothing."""

    def __init__(self, points: list[str], **options: Any) -> None:
        self.options = options
        self.max_schema_agreement_wait = options["max_schema_agreement_wait"]

    def connect(self, **_: Any) -> Cluster:
        return self

    def shutdown(self) -> None:
        pass


class Disagreeing:
    """A session with nodes that never agree on the schema."""

    is_schema_agreed = False

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def execute_async(self, _: str) -> Disagreeing:
        return self

    def result(self) -> None:
        pass


def opened(monkeypatch: pytest.MonkeyPatch, **more: int) -> Cluster:
    """Return the cluster that a document leads to."""
    monkeypatch.setattr(connection, "Cluster", Cluster)
    with connection.connected(read_ring(DOCUMENT | more), connection.Login("admin", "hidden")) as session:
        return session  # type: ignore[return-value]


@pytest.mark.parametrize(("more", "times"), [({}, 1), ({"slowness": 20}, 20)])
def test_a_slow_ring_has_longer_for_each_request_and_to_agree_on_the_schema(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, int], times: int
) -> None:
    cluster = opened(monkeypatch, **more)
    (profile,) = cluster.options["execution_profiles"].values()
    assert profile.request_timeout == 30 * times
    assert cluster.options["connect_timeout"] == 5 * times
    with pytest.raises(RingError, match=f"do not agree on the schema after {30 * times} s"):
        connection.change(Disagreeing(cluster), "CREATE TABLE t")  # type: ignore[arg-type]


def test_the_ring_is_waited_for_as_long_as_a_node_may_take_to_join() -> None:
    assert read_ring(DOCUMENT).deadline_seconds == 300
    assert read_ring(DOCUMENT | {"deadline_seconds": 604_800}).deadline_seconds == 604_800
