"""What the embedded engine's command provider takes for a command's inputs."""

from __future__ import annotations

from scripts.engine.providers.command import REMOTE, check
from scripts.engine.values import Secret, reveal


def test_a_connection_is_secret_as_a_whole_and_gets_the_providers_defaults() -> None:
    checked = check(REMOTE, "x", {"connection": {"host": "h", "privateKey": "k"}})["connection"]
    assert isinstance(checked, Secret)
    assert checked.value["privateKey"] == Secret("k")
    assert reveal(checked) == {
        "host": "h",
        "privateKey": "k",
        "user": "root",
        "port": 22,
        "dialErrorLimit": 10,
        "perDialTimeout": 15,
    }
