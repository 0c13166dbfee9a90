"""The `evenkeel` command line: what it prints and how it ends."""

import io
import json
import os
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from scripts.cli import commands, terminal
from scripts.cli.facts import Report, parse
from scripts.cli.judgement import judge
from scripts.cli.summary import summary
from scripts.cli.table import host_table, verdict_lines
from scripts.inventory import InventoryError
from scripts.ssh import UnreachableError

from .stack import ADDRESSES, healthy


def reports_of(inventory, facts, missing=()):
    return tuple(
        Report(host, None, UnreachableError(host.name, "no SSH: refused"), 0.1)
        if host.name in missing
        else Report(host, parse(facts[host.name]), None, 0.1)
        for host in inventory.hosts
    )


@pytest.fixture
def stack(inventory, monkeypatch):
    """A stack whose hosts answer with `facts`, but for those in `missing`."""

    stack = SimpleNamespace(facts=healthy(), missing=set(), ran=[])
    monkeypatch.setattr(commands, "load", lambda stack=None, refresh=False: inventory)
    monkeypatch.setattr(commands, "gather", lambda inventory: reports_of(inventory, stack.facts, stack.missing))
    monkeypatch.setattr(commands, "become", stack.ran.append)
    return stack


def invoke(*arguments):
    return CliRunner().invoke(commands.app, list(arguments))


def drawn(renderable, width=160):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def test_status_shows_every_host_and_ends_with_0_when_all_is_well(stack):
    result = invoke("status")
    assert result.exit_code == 0, result.output
    for name, address in ADDRESSES.items():
        assert any(name in line and address in line for line in result.output.splitlines())
    assert result.output.splitlines()[-1] == "All well: 16 hosts, version 1.0.0 serves at http://127.0.0.1:8080/item"


def test_status_shows_what_each_role_is_about(inventory):
    lines = {
        line.split()[0]: line for line in drawn(host_table(inventory, reports_of(inventory, healthy()))).splitlines()
    }
    assert "haproxy running" in lines["lb-a"] and "blue: a b c d" in lines["lb-a"]
    assert "blue 1.0.0 live 4/4 ready; green empty" in lines["app-c"]
    assert "cassandra running" in lines["db-d"] and "4 UN" in lines["db-d"]
    assert "serial 2026112401, 4 addresses" in lines["ns-2"]
    assert "60/256 MB" in lines["control"]


def test_status_ends_with_1_and_words_when_something_is_wrong(stack):
    stack.missing = {"db-b", "runner"}
    result = invoke("status")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == (
        "Not well: db-b does not answer (no SSH: refused) (and 1 more, above). Try: evenkeel start db-b"
    )


def test_status_ends_with_0_when_there_are_only_notes(stack):
    stack.facts = healthy()
    stack.facts["runner"]["failed"] = ["cron"]
    result = invoke("status")
    assert result.exit_code == 0
    assert "note   runner: failed units: cron" in result.output


def test_status_json_is_one_document_without_secrets(stack):
    stack.missing = {"lb-a"}
    result = invoke("status", "--json")
    document = json.loads(result.output)
    assert result.exit_code == 1
    assert document["ok"] is False
    assert document["problems"][0]["host"] == "lb-a"
    assert [host["name"] for host in document["hosts"]] == list(ADDRESSES)
    assert document["hosts"][0]["reachable"] is False and document["hosts"][1]["facts"]["format"] == 1
    assert "PRIVATE" not in result.output


def test_words_of_a_host_are_never_read_as_markup(inventory):
    facts = healthy()
    facts["runner"]["failed"] = ["[bold]x[/nothing]"]
    reports = reports_of(inventory, facts)
    for sentence in verdict_lines(inventory, reports, judge(inventory, reports)):
        assert "[bold]x[/nothing]" in drawn(sentence) or "All well" in drawn(sentence)


def test_summary_shows_hosts_version_url_and_next_steps(inventory):
    text = drawn(summary(inventory, reports_of(inventory, healthy())))
    for name, address in ADDRESSES.items():
        assert f"{name} {address}" in text
    for words in (
        "1.0.0 at 4 of 4 sites",
        "http://127.0.0.1:8080/item",
        "curl -s",
        "evenkeel status",
        "make test",
        "make down",
    ):
        assert words in text


def test_summary_names_the_stack_where_it_is_not_the_default(inventory):
    other = replace(inventory, stack="other")
    text = drawn(summary(other, reports_of(other, healthy())))
    assert ".venv/bin/evenkeel --stack other ssh lb-a" in text
    assert "make down STACK=other" in text


def test_summary_tells_a_version_that_nobody_gets_from_one_that_cannot_be_seen(inventory):
    facts = healthy()
    for name in ("lb-a", "lb-b", "lb-c", "lb-d"):
        facts[name]["lb"]["servers"] = []
    assert "1.0.0 (no load balancer sends to it)" in drawn(summary(inventory, reports_of(inventory, facts)))
    facts["lb-b"]["lb"] = {"error": "evenkeel-traffic did not answer within 5 s"}
    said = drawn(summary(inventory, reports_of(inventory, facts)))
    assert "1.0.0 (whether it serves is not known: lb-b could not be asked)" in said


def test_an_unknown_host_is_one_sentence_with_near_names(inventory, monkeypatch, capsys):
    monkeypatch.setattr(commands, "load", lambda stack=None, refresh=False: inventory)
    monkeypatch.setattr("sys.argv", ["evenkeel", "ssh", "lb-x"])
    with pytest.raises(SystemExit) as ended:
        commands.run()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("evenkeel: stack dev has no host «lb-x»; did you mean lb-")
    assert len(said.splitlines()) == 1


def test_no_stack_is_one_sentence(monkeypatch, capsys):
    def nothing(stack=None, refresh=False):
        raise InventoryError("there is no stack dev", "`make up` makes it")

    monkeypatch.setattr(commands, "load", nothing)
    monkeypatch.setattr("sys.argv", ["evenkeel", "status"])
    with pytest.raises(SystemExit) as ended:
        commands.run()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "evenkeel: there is no stack dev; `make up` makes it\n"


def test_a_wrong_option_ends_with_2(stack):
    assert invoke("status", "--colour").exit_code == 2
    assert invoke("nothing").exit_code == 2


def test_ssh_uses_the_stack_s_key_and_pinned_host_keys_and_nothing_else(stack, inventory):
    assert invoke("ssh", "app-a").exit_code == 0
    arguments = stack.ran[0]
    assert arguments[:3] == ["ssh", "-F", "none"]
    assert arguments[-1] == "root@10.77.0.31"
    assert f"IdentityFile={inventory.key_file}" in arguments
    assert f"UserKnownHostsFile={inventory.known_hosts_file}" in arguments
    assert "StrictHostKeyChecking=yes" in arguments


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        (["--", "ls", "-l", "a b"], "ls -l 'a b'"),
        (["ls", "-l"], "ls -l"),
        (["--", "ls | wc -l"], "ls | wc -l"),
        (["--", "grep", "--", "-x"], "grep -- -x"),
    ],
)
def test_ssh_passes_a_command_on(stack, typed, sent):
    assert invoke("ssh", "app-a", *typed).exit_code == 0
    assert stack.ran[0][-2:] == ["--", sent]


@pytest.mark.parametrize(
    ("typed", "units"),
    [
        (["lb-a"], ["haproxy"]),
        (["app-a"], ["app@blue", "app@green"]),
        (["db-a"], ["cassandra"]),
        (["ns-1"], ["named"]),
        (["control"], []),
        (["lb-a", "--unit", "ssh"], ["ssh"]),
    ],
)
def test_logs_show_the_role_s_unit_unless_another_is_named(stack, typed, units):
    assert invoke("logs", *typed, "--lines", "7").exit_code == 0
    sent = stack.ran[0][-1]
    assert sent.startswith("journalctl") and "--lines=7" in sent and "--follow" not in sent
    assert [word for word in sent.split() if word in units or word == "ssh"] == units


def test_logs_follow_when_told_to(stack):
    assert invoke("logs", "lb-a", "-f").exit_code == 0
    assert "--follow" in stack.ran[0][-1]


def test_a_blank_in_a_path_does_not_break_ssh_s_options():
    assert terminal.quote_option("/a b/100%") == '"/a b/100%%"'


def test_stop_and_start_ask_what_runs_the_machines_and_end_with_the_worst_status(stack, monkeypatch):
    calls, ends = [], iter((0, 3, 0))
    monkeypatch.setattr(
        commands.subprocess,
        "Popen",
        lambda arguments, **_: calls.append(arguments[1:]) or SimpleNamespace(wait=partial(next, ends)),
    )
    monkeypatch.setattr(commands, "ask_host", lambda host, login, inventory: reports_of(inventory, healthy())[0])
    assert invoke("stop", "lb-a", "db-b").exit_code == 3
    assert invoke("start", "lb-a").exit_code == 0
    assert calls == [
        ["-m", "scripts.containers", "stop", "--stack", "dev", "lb-a"],
        ["-m", "scripts.containers", "stop", "--stack", "dev", "db-b"],
        ["-m", "scripts.containers", "start", "--stack", "dev", "lb-a"],
    ]


def test_a_narrow_terminal_gets_whole_words_of_fewer_columns(inventory):
    text = drawn(host_table(inventory, reports_of(inventory, healthy()), 80), 80)
    assert "…" not in text
    assert "memory" not in text
    assert "cassandra running" in text


def test_the_stack_may_be_named_before_the_command_or_after_it(inventory, monkeypatch):
    asked = []
    monkeypatch.setenv("EVENKEEL_STACK", "")
    monkeypatch.setattr(
        commands, "load", lambda stack, *_: asked.append(stack or os.environ["EVENKEEL_STACK"]) or inventory
    )
    monkeypatch.setattr(commands, "gather", lambda inventory: reports_of(inventory, healthy()))
    assert invoke("--stack", "one", "summary").exit_code == 0
    assert invoke("summary", "--stack", "two").exit_code == 0
    assert asked == ["one", "two"]


@pytest.mark.parametrize(("slowness", "seconds"), [(1, 180), (20, 3600)])
def test_a_started_host_is_waited_for_as_long_as_such_hosts_take(inventory, monkeypatch, slowness, seconds):
    clock = [0.0]

    def ask(host, login, inventory):
        clock[0] += 60
        return Report(host, None, UnreachableError(host.name, "no SSH: refused"), 0.1)

    monkeypatch.setattr(commands, "ask_host", ask)
    monkeypatch.setattr(commands.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(commands.time, "sleep", lambda seconds: None)
    slow = replace(inventory, slowness=slowness)
    with pytest.raises(InventoryError, match=f"lb-a was started, but SSH does not answer .* after {seconds} s"):
        commands.wait_for(slow, slow.host("lb-a"))
    assert seconds < clock[0] <= seconds + 60
