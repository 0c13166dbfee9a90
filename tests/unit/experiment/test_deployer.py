"""`pulumi up` from an experiment: Ctrl-C lets it come to its end, a second one aborts the release."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.experiment import deployer
from scripts.experiment.deployer import Deployer
from scripts.experiment.errors import DeployError
from scripts.inventory import Host, Inventory, Role

PULUMI = """#!/bin/sh
echo "begins: $*"
sleep {seconds}
echo "ends" && touch {folder}/ended
exit {status}
"""


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Hear Ctrl-C, also where the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def told() -> list[str]:
    return []


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], seconds: float, status: int) -> Deployer:
    """A deployer whose `pulumi` is a program that takes some seconds, whatever it is asked."""
    program = folder / "pulumi"
    program.write_text(PULUMI.format(seconds=seconds, folder=folder, status=status))
    program.chmod(0o755)
    monkeypatch.setattr(deployer, "pulumi_command", lambda: str(program))
    control = Host("control", Role.CONTROL, None, "127.0.0.1", "")
    return Deployer(Inventory("test", "", "", "", "", (), (), (control,), Path(), ""), told.append)


def interrupt_after(*moments: float) -> None:
    """Send this process Ctrl-C some seconds from now, at each of these moments."""

    def send() -> None:
        began = time.monotonic()
        for moment in moments:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()


def test_it_tells_how_it_ended_and_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    deployed = make(tmp_path, monkeypatch, told, 0.1, 3).up()
    assert deployed.status == 3
    assert deployed.last_words == "begins: up --yes --skip-preview --non-interactive --stack test | ends"
    assert deployed.seconds >= 0.1


def test_ctrl_c_lets_it_come_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    one = make(tmp_path, monkeypatch, told, 2, 0)
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        one.up()
    assert (tmp_path / "ended").exists()
    assert len(told) == 1
    assert told[0].startswith("the release goes on to its end")


def test_a_second_one_aborts_the_release_and_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    one = make(tmp_path, monkeypatch, told, 3, 1)
    signals: list[str] = []
    monkeypatch.setattr(one.journal, "signal", lambda kind, who, reason: signals.append(kind))
    interrupt_after(0.5, 1.5)
    with pytest.raises(KeyboardInterrupt):
        one.up()
    assert signals == ["abort"]
    assert (tmp_path / "ended").exists()


def test_a_value_that_pulumi_refuses_is_named_and_one_that_is_not_there_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    one = make(tmp_path, monkeypatch, told, 0, 1)
    one.configure(strategy="")
    with pytest.raises(DeployError, match="`pulumi config set version` failed"):
        one.configure(version="2.0.0")
    assert one.value("strategy") == ""
