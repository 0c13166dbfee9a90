"""What is kept of an experiment: its folder, what a run says of its release, capacity, memory and disk."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.experiment import closing, host_usage, machine, soak
from scripts.experiment.capacity import lowest, parse
from scripts.experiment.capacity_watch import serving
from scripts.experiment.deployer import Deployed, busy_seconds, release_document
from scripts.experiment.errors import FolderError
from scripts.experiment.folder import Folder, newest_unfinished, write_json
from scripts.experiment.one_run import Bench
from scripts.inventory import Host, Inventory, Role
from scripts.ssh import Login, UnreachableError


def test_an_experiment_is_found_again_by_name_and_by_path(tmp_path: Path) -> None:
    made = Folder.create("first", {"created": 1.0}, tmp_path)
    assert Folder.open(made.path).document == {"name": "first", "created": 1.0}
    with pytest.raises(FolderError, match="there is an experiment first already"):
        Folder.create("first", {}, tmp_path)
    with pytest.raises(FolderError, match="is no folder of an experiment"):
        Folder.open(tmp_path)


def test_an_experiment_that_cannot_be_written_down_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Folder.create("first", {"settings": object()}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"/file/first cannot be used: Not a directory") as refused:
        Folder.create("first", {}, tmp_path / "file")
    assert "may write there" in refused.value.hint


def test_the_newest_that_is_not_finished_is_gone_on_with(tmp_path: Path) -> None:
    assert newest_unfinished("mine", tmp_path) is None
    for number, state in enumerate(("interrupted", "running", "finished")):
        Folder.create(str(number), {"created": float(number), "state": state, "stack": "mine"}, tmp_path)
    Folder.create("elsewhere", {"created": 9.0, "state": "interrupted", "stack": "theirs"}, tmp_path)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "experiment.json").write_text("{")
    found = newest_unfinished("mine", tmp_path)
    assert found is not None
    assert found.name == "1"


def test_a_run_is_done_when_it_says_so_and_what_an_earlier_try_left_is_kept_beside_it(tmp_path: Path) -> None:
    folder = Folder.create("first", {}, tmp_path)
    place = folder.begin_run("001")
    assert not folder.is_done("001")
    write_json(place / "run.json", {"outcome": "interrupted"})
    (place / "requests.csv.gz").write_bytes(b"half")
    assert not folder.is_done("001")
    assert not list(folder.begin_run("001").iterdir())
    assert (folder.run_folder("001.try1") / "requests.csv.gz").read_bytes() == b"half"
    assert folder.earlier_tries("001") == ["interrupted, why is not known"]
    write_json(place / "run.json", {"outcome": "finished"})
    assert folder.is_done("001")


def test_stages_at_the_same_time_are_counted_once() -> None:
    stages: list[dict[str, Any]] = [
        {"began": 0.0, "seconds": 4.0}, {"began": 1.0, "seconds": 2.0}, {"began": 10, "seconds": 1}, {"began": 3},
    ]  # fmt: skip
    assert busy_seconds(stages) == 5
    assert busy_seconds([{"stage": "outcome"}]) is None


def test_a_release_is_told_by_the_journal_and_by_what_pulumi_did() -> None:
    record = {
        "id": "r8", "version": "2.0.0", "previous": {"version": "1.0.0"}, "state": "succeeded", "reason": "",
        "stages": [{"stage": "install-1", "began": 12.0, "seconds": 20.0, "state": "passed"}, {"stage": "outcome"}],
    }  # fmt: skip
    document = release_document(record, Deployed(0, 10.0, 40.0, ""), "2.0.0")
    assert document is not None
    assert (document["from"], document["verdict"], document["seconds"], document["own_seconds"]) == (
        "1.0.0", "succeeded", 30.0, 10.0,
    )  # fmt: skip
    assert document["stages"] == [{"name": "install-1", "started": 12.0, "ended": 32.0, "state": "passed"}]


def test_an_up_that_released_nothing_says_so() -> None:
    unchanged = release_document(None, Deployed(0, 10.0, 12.0, ""), None)
    failed = release_document(None, Deployed(1, 10.0, 12.0, "error: no\nsuch thing"), "2.0.0")
    assert unchanged is not None
    assert failed is not None
    assert (unchanged["verdict"], unchanged["id"], failed["verdict"]) == ("unchanged", None, "failed")
    assert failed["reason"] == "error: no | such thing"
    assert release_document(None, None, None) is None


def test_capacity_is_what_the_load_balancer_that_sees_least_sees() -> None:
    one, other = parse("10.0 4\n20.0 2\n30.0 4\n"), parse("10.1 4\n21.0 3\n22.0 1\n31.0 4\n")
    assert lowest([one, other]) == [(10.0, 4), (20.0, 2), (22.0, 1), (31.0, 4)]
    assert lowest([]) == []


def test_a_site_serves_where_one_of_its_slots_is_open_and_up() -> None:
    ready = {"state": "ready", "up": True, "weight": 100}
    servers = {
        "a-blue": ready, "a-green": ready, "b-blue": ready | {"state": "drain"}, "b-green": ready | {"up": False},
        "c-blue": ready | {"weight": 0}, "d-green": ready,
    }  # fmt: skip
    assert serving(servers) == 2


def test_memory_is_counted_by_the_service_a_process_belongs_to() -> None:
    assert host_usage.unit_of("12:memory:/x\n1:name=systemd:/system.slice/haproxy.service\n") == "haproxy"
    assert host_usage.unit_of("0::/system.slice/system-app.slice/app@blue.service\n") == "app@blue"
    assert host_usage.unit_of("0::/user.slice/user-0.slice/session-1.scope\n") == ""
    assert host_usage.kept_bytes("VmRSS:  900 kB\nRssAnon:\t 100 kB\nRssFile:\t 700 kB\nRssShmem:\t 1 kB\n") == 103_424


def test_what_a_host_uses_is_read_from_this_one(tmp_path: Path) -> None:
    program = Path(host_usage.__file__).read_text().replace('"/var/log", "/var/lib/cassandra", "/var", "/opt", "/srv", "/tmp", "/root", "/home"', f'"{tmp_path}/inner", "{tmp_path}"')  # fmt: skip # noqa: E501
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(os.urandom(100_000))
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["services"][""] > 10**6
    assert found["disk"][f"{tmp_path}/inner"] >= 100_000
    assert found["disk"][""] == sum(size for place, size in found["disk"].items() if place)


def write_soak(path: Path, grows: float, releases: int = 40, noise: float = 2**20) -> None:
    """A soak in which one service gains so many bytes a release, amid noise."""
    dice = random.Random(1)  # noqa: S311
    for release in range(1, releases + 1):
        more = dice.uniform(-1, 1) * noise
        used = {"services": {"": 300e6, "app@blue": 200e6 + more + grows * release}, "disk": {"": 1e9}}
        soak.append(path, soak.rows(release, float(release), {"app-a": used}))


def test_growth_is_found_and_named(tmp_path: Path) -> None:
    write_soak(tmp_path / "soak.csv", grows=2**20)
    found = next(each for each in soak.growth(tmp_path / "soak.csv") if each.service == "app@blue")
    assert found.low < 2**20 < found.high
    assert found.grows
    assert soak.verdict(tmp_path / "soak.csv")[0].startswith("it grows: memory of app@blue on app-a: +10")


def test_noise_is_no_growth(tmp_path: Path) -> None:
    write_soak(tmp_path / "soak.csv", grows=0)
    assert not [each for each in soak.growth(tmp_path / "soak.csv") if each.grows]
    assert soak.verdict(tmp_path / "soak.csv")[0].startswith("nothing grows")
    assert soak.faults(tmp_path / "soak.csv") == []


def test_samples_that_differ_by_too_much_rule_no_growth_out(tmp_path: Path) -> None:
    write_soak(tmp_path / "soak.csv", grows=0, noise=100 * 2**20)
    unsure = "whether it grows cannot be told: memory of app@blue on app-a: "
    assert [said.startswith(unsure) for said in soak.faults(tmp_path / "soak.csv")].count(True) == 1


def test_a_host_that_did_not_answer_each_time_is_named(tmp_path: Path) -> None:
    write_soak(tmp_path / "soak.csv", grows=0)
    used = {"services": {"": 1e6}, "disk": {"": 1e9}}
    soak.append(tmp_path / "soak.csv", soak.rows(40, 40.0, {"lb-a": used}))
    said = ["lb-a was asked 40 times for its memory and disk, and answered 1 times"]
    assert soak.faults(tmp_path / "soak.csv") == soak.verdict(tmp_path / "soak.csv") == said


def test_memory_and_disk_are_looked_at_some_twenty_times_however_long_a_soak_is(tmp_path: Path) -> None:
    def due(releases: int) -> list[int]:
        return [release for release in range(1, releases + 1) if soak.is_due(tmp_path / "soak.csv", release, releases)]

    assert due(7) == [1, 2, 3, 4, 5, 6, 7]
    assert due(60) == list(range(1, 61, 3))
    assert len(due(300)) == 20


def test_before_a_release_that_is_made_up_for_later_nothing_is_sampled(tmp_path: Path) -> None:
    write_soak(tmp_path / "soak.csv", grows=0, releases=6)
    due = [release for release in range(1, 9) if soak.is_due(tmp_path / "soak.csv", release, 8)]
    assert due == [6, 7, 8]


def test_the_database_writes_out_first_and_a_node_that_cannot_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, list[str]]] = []
    said: list[str] = []

    def run(login: Login, command: list[str], **_: Any) -> None:
        told.append((login.name, command))
        if login.name == "db-b":
            raise UnreachableError("db-b", "no SSH")

    monkeypatch.setattr(soak, "run", run)
    hosts = tuple(
        Host(name, role, None, "", "")
        for name, role in (("db-a", Role.DATABASE), ("db-b", Role.DATABASE), ("app-a", Role.APP_SERVER))
    )
    inventory = Inventory("test", "", "", "", "1.0.0", ("a",), (), hosts, Path(), "")
    soak.write_out(cast(Bench, SimpleNamespace(inventory=inventory)), said.append)
    assert sorted(told) == [("db-a", ["nodetool", "flush"]), ("db-b", ["nodetool", "flush"])]
    assert said == ["db-b has not written out what it has in memory: db-b: no SSH"]


def test_too_few_releases_are_no_verdict(tmp_path: Path) -> None:
    write_soak(tmp_path / "soak.csv", grows=0, releases=3)
    assert soak.verdict(tmp_path / "soak.csv") == ["too few releases to tell whether memory or disk grow"]


def test_the_machine_is_described() -> None:
    found = machine.describe()
    assert set(found) == {"cpu", "cores", "memory_mb", "kernel", "os"}
    assert found["cores"] >= 1
    assert found["memory_mb"] > 100


def test_what_was_done_here_and_what_the_hypervisor_gave_to_others_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(("cpu  100 0 50 800 10 0 20 20 7 0\ncpu0 1 2 3\n", "cpu  190 0 60 870 10 0 20 50 9 0\n"))
    monkeypatch.setattr(machine, "read", lambda _: next(texts))
    assert machine.Processors().shares() == machine.Shares(busy=0.5, stolen=0.15)


@pytest.mark.parametrize("stat", ["", "cpu  100 0 50 800 10 0 20 20 7 0\n"])
def test_where_no_time_passes_or_none_is_counted_nobody_knows(monkeypatch: pytest.MonkeyPatch, stat: str) -> None:
    monkeypatch.setattr(machine, "read", lambda _: stat)
    assert machine.Processors().shares() == machine.Shares(None, None)


def test_the_end_says_what_failed_and_keeps_what_no_machine_carries_apart(tmp_path: Path) -> None:
    folder = Folder.create("first", {"runs": []}, tmp_path)
    told = [
        ("successful", "bluegreen", False, "succeeded", 0),
        ("failing", "bluegreen", False, "succeeded", 2),
        ("successful", "bluegreen", True, "succeeded", 90),
        ("none", None, False, None, 0),
    ]
    for number, (scenario, strategy, saturated, verdict, failed) in enumerate(told):
        document = {
            "outcome": "finished", "scenario": scenario, "strategy": strategy, "saturated": saturated, "sent": 1000,
            "failed": failed, "duplicates": None, "release": {"verdict": verdict} if verdict else None,
        }  # fmt: skip
        write_json(folder.begin_run(str(number)) / "run.json", document)
    folder.update(runs=[{"id": str(number)} for number in range(5)])
    assert closing.sentences(folder) == [
        "no release: 1,000 requests, 0 failed",
        "bluegreen: 3 releases, 1 ended otherwise than planned; 2,000 requests, 2 failed; "
        "above what the machine carries: 1,000 requests, 90 failed",
    ]


UNCHANGED = {"scenario": "unchanged"}
OTHERWISE = ["0: the release ended otherwise than planned"]
REFUSED_WRITES = {"check": {"passed": True, "clients": {"failed_requests": 4}}}


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({}, "soak", []),
        ({"release": {"verdict": "rolled-back"}}, "quick", ["0: the release ended otherwise than planned"]),
        ({"release": None}, "quick", ["0: the release ended otherwise than planned"]),
        ({"check": {"passed": False, "summary": "lost 2"}}, "quick", ["0: acknowledged writes are missing"]),
        ({"check": {"passed": True, "summary": "all there"}}, "quick", []),
        ({"failed": 3}, "quick", []),  # what an experiment is to find out
        ({"failed": 3}, "soak", ["0: 3 requests failed"]),
        ({"release": {"verdict": "succeeded", "status": 1}}, "quick", ["0: the release ended otherwise than planned"]),
        (UNCHANGED | {"release": {"verdict": "unchanged", "status": 0}}, "quick", []),
        (UNCHANGED | {"release": {"verdict": "failed", "status": 1}}, "quick", OTHERWISE),
        (UNCHANGED | {"release": {"verdict": "succeeded", "status": 0}}, "quick", OTHERWISE),
        (REFUSED_WRITES, "quick", []),
        (REFUSED_WRITES, "soak", ["0: 4 of the writes that are followed up failed"]),
    ],
)
def test_what_no_experiment_may_end_well_with(
    tmp_path: Path, changes: dict[str, Any], kind: str, said: list[str]
) -> None:
    folder = Folder.create("first", {"runs": [{"id": "0"}], "kind": kind}, tmp_path)
    document: dict[str, Any] = {"id": "0", "outcome": "finished", "scenario": "successful", "failed": 0}
    document["release"] = {"verdict": "succeeded"}
    write_json(folder.begin_run("0") / "run.json", document | changes)
    write_soak(folder.path / "soak.csv", grows=0)
    assert closing.faults(folder) == said


def test_a_soaks_run_that_ended_by_itself_before_it_was_made_again_is_a_fault(tmp_path: Path) -> None:
    folder = Folder.create("first", {"runs": [{"id": "0"}], "kind": "soak"}, tmp_path)
    write_soak(folder.path / "soak.csv", grows=0)
    document = {"id": "0", "scenario": "successful", "failed": 0, "release": {"verdict": "succeeded"}}
    for outcome, why in (("interrupted", "it was not finished"), ("failed", "no SSH"), ("finished", "")):
        write_json(folder.begin_run("0") / "run.json", document | {"outcome": outcome, "notes": [why]})
    assert closing.faults(folder) == ["0 was tried before: failed, no SSH"]


def test_a_soak_after_which_memory_has_grown_has_not_ended_well(tmp_path: Path) -> None:
    folder = Folder.create("first", {"runs": [], "kind": "soak"}, tmp_path)
    write_soak(folder.path / "soak.csv", grows=0)
    assert closing.faults(folder) == []
    (folder.path / "soak.csv").unlink()
    write_soak(folder.path / "soak.csv", grows=2**20)
    (fault,) = closing.faults(folder)
    assert fault.startswith("it grows: memory of app@blue on app-a: +10")
    (folder.path / "soak.csv").unlink()
    assert closing.faults(folder) == ["memory and disk were not sampled"]
