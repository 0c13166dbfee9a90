"""Writes on a running stack, every one of them followed up: what was lost, resurrected or invented.

    with WriteTest(inventory, rate=100, rows=100_000) as test:
        ...  # what is to happen while clients write
    verdict = test.verdict()           # the tables as they are now, and what the service lists
    assert verdict.passed, verdict.summary()
    assert test.summary["failed_requests"] == 0
    test.remove_rows()                 # of a table that others go on with
    test.close()

Clients run on the test runner (scripts/checker/client.py, 50 % inserts, 30 % updates, 20 % deletes); rows are prepared,
and tables read, on the control host through CQL with the service's own login.
"""

from __future__ import annotations

import json
import secrets
import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.checker.__main__ import judge_files
from scripts.checker.client import COLUMNS
from scripts.checker.errors import CheckerError
from scripts.checker.verdict import Verdict
from scripts.inventory import ROOT, Inventory, Role
from scripts.ssh import Result, Session, SshError

CLIENT = ROOT / "scripts/checker/client.py"
PACKAGES = ("checker", "database")
INIT = '"""Programs of the checker."""\n'
HOSTS = ("runner", "control")
PREPARE_SECONDS, READ_SECONDS, END_SECONDS = 900.0, 600.0, 120.0


class WriteTestError(Exception):
    """The clients, or reading what came of them, went wrong: this says nothing about the service."""


@dataclass(frozen=True)
class Where:
    """A table that holds the service's items: its name, and its own name for each column that is called otherwise."""

    table: str
    renamed: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """As scripts.checker.state takes it."""
        names = {name: dict(self.renamed).get(name, name) for name in COLUMNS}
        return {"table": self.table, "columns": names, "marker": "created_at"}


def require_whole(history: Path, summary: Mapping[str, Any]) -> None:
    """Raise WriteTestError unless the history has every operation that the clients say they did.

    One that is missing would make lost what was only not read.
    """
    with history.open(encoding="utf-8") as lines:
        found = sum(1 for line in lines if line.startswith('{"type":"complete"'))
    if found != summary["operations"]:
        raise WriteTestError(f"the history has {found} of the {summary['operations']} operations that clients did")


class WriteTest:
    """Clients that write while a block runs. `seconds` bounds it; afterwards `summary` says what clients were told.

    `first` is the table that is live when the block begins; `empty` has it emptied before.
    """

    summary: dict[str, Any]

    def __init__(
        self,
        inventory: Inventory,
        *,
        rate: int = 100,
        rows: int = 1_000,
        seconds: int = 900,
        writers: int = 16,
        first: Where | None = None,
        empty: bool = False,
    ) -> None:
        if not inventory.ring:
            raise WriteTestError(f"stack {inventory.stack} does not say where its database is: run `pulumi up`")
        self.inventory, self.rate, self.rows, self.seconds, self.writers = inventory, rate, rows, seconds, writers
        self.first, self.empty = first or Where("item"), empty
        self.name = f"c{secrets.token_hex(4)}"
        self.folder = Path(tempfile.mkdtemp(prefix="evenkeel-checker-"))
        self._place = f"/tmp/evenkeel-checker-{self.name}"  # noqa: S108 - on hosts; made by us, 0700
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[Result] | None = None

    def __enter__(self) -> Self:
        try:
            self._install()
            self._prepared = self._prepare()
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            ended_before = self._stop()
        except Exception:
            if kind is None:  # else the block's own error is the one to tell
                raise
        else:
            if kind is None and ended_before:
                raise WriteTestError(f"the clients' {self.seconds} s ended before what was to happen meanwhile")

    def verdict(self, tables: Sequence[Where] | None = None, through_service: bool = True) -> Verdict:
        """Read these tables (the first one if not given) and what the service lists, and judge. May be called again,
        after an undo for instance: what clients were told stays the same.
        """
        states = {}
        for where in tables or [self.first]:
            states[f"table {where.table}"] = self._read_table(where)
        if through_service:
            states["the service"] = self._read_service()
        try:
            return judge_files(self.folder / "history.jsonl", states)
        except CheckerError as error:
            raise WriteTestError(f"what the clients did cannot be judged: {error}") from error

    def remove_rows(self) -> list[str]:
        """Delete through the service what is left of this run's rows; a sentence where some stay."""
        plan = {"service": self.inventory.service, "run": self.name}
        try:
            found = json.loads(self._on_runner("python3 client.py remove", json.dumps(plan), READ_SECONDS).stdout)
        except SshError as error:
            return [f"rows of the checker's clients stay in the table: {error}"]
        return [f"{found['stay']} rows of the checker's clients stay in the table"] if found["stay"] else []

    def close(self) -> None:
        """Leave nothing running, and nothing on the hosts. The history stays in `folder`, for whoever wants to look."""
        try:
            if self._running is not None and not self._running.done():
                self._on_runner('kill -KILL "$(cat pid)"', check=False)
            for name in HOSTS:
                self._ask(name, ["rm", "-rf", self._place], check=False)
        finally:
            self._pool.shutdown(wait=True)

    def _install(self) -> None:
        """Have the client on the runner, and the checker's programs on control, beside whatever is installed there."""
        files = {"runner": {"client.py": CLIENT.read_text("utf-8")}, "control": {"scripts/__init__.py": INIT}}
        for package in PACKAGES:
            for path in sorted((ROOT / "scripts" / package).glob("*.py")):
                files["control"][f"scripts/{package}/{path.name}"] = path.read_text("utf-8")
        for name in HOSTS:
            with self._session(name) as session:
                session.run(["mkdir", "-m", "700", self._place])
                if name == "control":
                    session.run(["mkdir", "-p", *(f"{self._place}/scripts/{package}" for package in PACKAGES)])
                for place, content in files[name].items():
                    session.put(content, f"{self._place}/{place}")

    def _prepare(self) -> dict[str, Any]:
        inputs = {"run": self.name, "rows": self.rows, "table": self.first.document(), "empty": self.empty}
        prepared: dict[str, Any] = json.loads(self._on_control("prepare", inputs, PREPARE_SECONDS))
        return prepared

    def _start(self) -> None:
        plan = {
            "service": self.inventory.service, "run": self.name, "rate": self.rate, "seconds": self.seconds,
            "writers": self.writers, "prepared": self._prepared, "log": "history.jsonl",
        }  # fmt: skip
        line = "echo $$ > pid; exec python3 client.py run"
        self._running = self._pool.submit(self._on_runner, line, json.dumps(plan), self.seconds + 120)
        end = time.monotonic() + 30
        while not self._on_runner("grep -q complete history.jsonl", check=False).ok:
            if self._running.done():
                self._running.result()
            if time.monotonic() > end:
                raise WriteTestError("after 30 s no client has had an answer")
            time.sleep(0.2)

    def _stop(self) -> bool:
        """Have the clients end, and fetch their history; whether they had ended by themselves before."""
        running = self._running
        if running is None:
            raise WriteTestError("the clients were not begun")
        ended_before = running.done()
        if not ended_before:
            self._on_runner('kill -INT "$(cat pid)"', check=False)
        try:
            self.summary = json.loads(running.result(END_SECONDS).stdout)
        except TimeoutError as error:
            raise WriteTestError(f"the clients were told to end and had not {END_SECONDS:g} s later") from error
        require_whole(self._keep("history", "runner", "history.jsonl"), self.summary)
        return ended_before

    def _read_table(self, where: Where) -> Path:
        self._on_control("state > state.jsonl", {"table": where.document()}, READ_SECONDS)
        return self._keep(where.table, "control", "state.jsonl")

    def _read_service(self) -> Path:
        plan = {"service": self.inventory.service, "out": "state.jsonl"}
        self._on_runner("python3 client.py read", json.dumps(plan), READ_SECONDS)
        return self._keep("service", "runner", "state.jsonl")

    def _keep(self, name: str, host: str, file: str) -> Path:
        """Fetch a file from our folder on a host."""
        path = self.folder / f"{name}.jsonl"
        with self._session(host) as session:
            path.write_bytes(session.get_bytes(f"{self._place}/{file}", READ_SECONDS))
        return path

    def _on_control(self, verb: str, inputs: dict[str, Any], seconds: float) -> str:
        app = self.inventory.with_role(Role.APP_SERVER)[0].name
        password = self._ask(app, "cat /etc/evenkeel/app-blue.password").stdout.strip()
        ring = {**self.inventory.ring, "admin_password": "not used"}
        document = {
            "ring": ring, "login": {"role": "app", "password": password}, "keyspace": ring["keyspace"], **inputs,
        }  # fmt: skip
        line = f"exec env PYTHONPATH=/opt/evenkeel/python python3 -m scripts.checker {verb}"
        return self._on("control", line, json.dumps(document), seconds).stdout

    def _on_runner(self, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Result:
        return self._on("runner", line, stdin, timeout, check)

    def _on(self, name: str, line: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Result:
        """Run a line in our folder on a host; on a connection of its own, for hosts may have been away meanwhile."""
        command = f"cd {shlex.quote(self._place)} && {{ {line}; }}"
        with self._session(name) as session:
            return session.run(command, stdin, timeout=timeout, check=check)

    def _ask(self, name: str, command: str | list[str], check: bool = True) -> Result:
        with self._session(name) as session:
            return session.run(command, check=check)

    def _session(self, name: str) -> Session:
        return Session(self.inventory.login(self.inventory.host(name)), 20)
