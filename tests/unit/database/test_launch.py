"""Whom a starting node asks about the ring, and when it may call itself a seed: the launcher, run with a false java."""

import os
import subprocess

import pytest

from components.render import render

PEERS = ["10.77.0.31", "10.77.0.32", "10.77.0.33"]


class Launcher:
    """The launcher of 10.77.0.31 in folders of its own."""

    def __init__(self, root):
        self.root = root
        for name in ("conf", "data", "run", "jars", "bin"):
            (root / name).mkdir()
        (root / "conf" / "cassandra.yaml").write_text('seeds: "@SEEDS@"\n', "utf-8")
        (root / "jars" / "jamm-0.4.0.jar").touch()
        java = root / "bin" / "java"
        java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', "utf-8")
        java.chmod(0o755)

    def start(self, *, founder=False, peers=PEERS):
        """Run it; return the seeds it chose and java's arguments."""
        folders = {"config": "conf", "data": "data", "run": "run", "jars": "jars"}
        places = {f"{name}_directory": str(self.root / folder) for name, folder in folders.items()}
        text = render("cassandra/launch.j2", address=PEERS[0], peers=peers, founder=founder, **places)
        script = self.root / "launch"
        script.write_text(text, "utf-8")
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        command = ["/bin/sh", str(script)]
        done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True)
        seeds = (self.root / "run" / "cassandra.yaml").read_text("utf-8").split('"')[1]
        return seeds.split(","), done.stdout.splitlines()

    def mark(self, name):
        (self.root / "data" / name).touch()


@pytest.fixture
def launcher(tmp_path):
    return Launcher(tmp_path)


def replaces(arguments):
    return any(argument.startswith("-Dcassandra.replace_address") for argument in arguments)


def test_a_new_node_asks_the_others_and_copies_its_rows_from_them(launcher):
    seeds, arguments = launcher.start()
    assert seeds == PEERS[1:]
    assert not replaces(arguments)


def test_the_founder_may_begin_a_ring(launcher):
    seeds, _ = launcher.start(founder=True)
    assert seeds == PEERS


def test_a_founder_without_others_asks_itself(launcher):
    seeds, _ = launcher.start(founder=True, peers=PEERS[:1])
    assert seeds == PEERS[:1]


def test_a_node_that_has_joined_is_a_seed_so_that_the_ring_starts_without_its_founder(launcher):
    launcher.mark("joined")
    seeds, _ = launcher.start()
    assert seeds == PEERS


def test_a_node_that_lost_its_disk_takes_its_old_place_when_told_to(launcher):
    launcher.mark("replace")
    seeds, arguments = launcher.start(founder=True)
    assert seeds == PEERS[1:]
    assert f"-Dcassandra.replace_address_first_boot={PEERS[0]}" in arguments


def test_a_replaced_node_that_has_joined_is_like_any_other(launcher):
    launcher.mark("replace")
    launcher.mark("joined")
    seeds, arguments = launcher.start()
    assert seeds == PEERS
    assert not replaces(arguments)


def test_java_gets_the_options_the_agent_and_the_jars(launcher):
    _, arguments = launcher.start()
    assert arguments[0] == f"@{launcher.root}/conf/jvm.options"
    assert f"-javaagent:{launcher.root}/jars/jamm-0.4.0.jar" in arguments
    assert arguments[-3:] == ["-cp", f"{launcher.root}/jars/*", "org.apache.cassandra.service.CassandraDaemon"]
