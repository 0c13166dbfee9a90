#!/usr/bin/python3
"""Put an application version into one of this host's two slots, start it, stop it, tell what is there.

    evenkeel-slot install SLOT SHA256 [NAME=TABLE...] < artifact.tar.gz
                                          check, unpack and put in place (the slot must be stopped or hold the same
                                          artifact); the version finds its table NAME as TABLE in the database
    evenkeel-slot start SLOT [COUNT]      start and wait until it is ready, then send COUNT of the manifest's smoke
                                          GETs; how it went, as JSON. Meanwhile it yields to users
    evenkeel-slot smoke SLOT              make the manifest's smoke checks; how they went, as JSON
    evenkeel-slot stop SLOT               stop gracefully
    evenkeel-slot show                    both slots, as JSON
    evenkeel-slot exec SLOT               become the slot's program (what the unit app@SLOT runs)

start and smoke take --slowness=N at the end: all their limits of time are N times as long.

A slot is /srv/app/SLOT: `current/` is the unpacked artifact, `artifact.tar.gz` the artifact itself, `slot.json` says
what it is and which tables it works on, told to the program as DATABASE_TABLE_NAME. Its limits are a drop-in of its own
unit, so that a version never touches the other slot's.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import time
from typing import Any, NoReturn

import evenkeel_memory
import evenkeel_yield

# What only some verbs need is imported where it is: with all of it each start would take twice as long, and a
# release starts this some thirty times on machines that serve.

ROOT = "/srv/app"
SLOTS = ("blue", "green")
ENVIRONMENT = "/etc/evenkeel/app-{slot}.env"
LIMITS = "/etc/systemd/system/app@{slot}.service.d/limits.conf"
FACTS = ("NRestarts", "ActiveState", "ActiveEnterTimestamp", "MemoryCurrent")
LOOKS_A_SECOND = 5
YIELD_SECONDS = 30.0
SLOWNESS = re.compile(r"--slowness=([1-9][0-9]?)")
TABLE = re.compile(r"[a-z][a-z0-9_]{0,47}=[a-z][a-z0-9_]{0,47}")


def fail(sentence: str) -> NoReturn:
    """End with one sentence that names this host."""
    sys.exit(f"evenkeel-slot on {os.uname().nodename}: {sentence}")


def described(slot: str) -> dict[str, Any] | None:
    """Return slot.json's content, or None where the slot is empty."""
    try:
        with open(f"{ROOT}/{slot}/slot.json", encoding="utf-8") as file:
            facts: dict[str, Any] = json.load(file)
            return facts
    except FileNotFoundError:
        return None


def unit(slot: str) -> str:
    """Return the slot's systemd unit."""
    return f"app@{slot}.service"


def is_active(slot: str) -> bool:
    """Tell whether the slot's unit runs."""
    return subprocess.run(["systemctl", "is-active", "--quiet", unit(slot)], check=False).returncode == 0


def environment(slot: str) -> dict[str, str]:
    """Return the slot's environment file as a dictionary."""
    with open(ENVIRONMENT.format(slot=slot), encoding="utf-8") as file:
        pairs = (line.strip().partition("=") for line in file if "=" in line and not line.startswith("#"))
        return {key: value for key, _, value in pairs}


def manifest_of(directory: str) -> dict[str, Any]:
    """Return the artifact's manifest."""
    import tomllib  # noqa: PLC0415

    try:
        with open(f"{directory}/evenkeel.toml", "rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, tomllib.TOMLDecodeError) as error:
        fail(f"the artifact's evenkeel.toml cannot be read: {error}; nothing was changed")


def tables_of(arguments: list[str]) -> dict[str, str]:
    """Return the tables' names in the database, by their names in the manifest."""
    if wrong := [argument for argument in arguments if not TABLE.fullmatch(argument)]:
        fail(f"{wrong[0]!r} is no NAME=TABLE of lower-case letters, digits and _; nothing was changed")
    return {name: table for name, _, table in (argument.partition("=") for argument in arguments)}


def install(slot: str, sha256: str, tables: dict[str, str] | None = None) -> None:
    """Put the artifact on standard input into the slot, to work on these tables."""
    import evenkeel_archive  # noqa: PLC0415

    known, tables = described(slot), tables or {}
    if known and known["sha256"] == sha256:
        evenkeel_archive.skip()
        if known.get("tables", {}) != tables:
            move_to(slot, known, tables)
        limit(slot, known["limits"])
        print(json.dumps({"slot": slot, "version": known["version"], "changed": False}))
        return
    if is_active(slot):
        fail(f"slot {slot} is running {known['version'] if known else 'something'}; stop it before installing into it")
    home = f"{ROOT}/{slot}"
    os.makedirs(home, exist_ok=True)
    try:
        with evenkeel_yield.yielding(slot, user_of(slot), YIELD_SECONDS / 2):
            manifest = take(home, sha256)
    except evenkeel_archive.ArchiveError as error:
        fail(str(error))
    limit(slot, manifest.get("limits", {}))
    describe(home, manifest, sha256, tables)
    print(json.dumps({"slot": slot, "version": manifest["version"], "changed": True}))


def take(home: str, sha256: str) -> dict[str, Any]:
    """Receive the artifact, unpack it and put it into the slot's directory; return its manifest."""
    import tempfile  # noqa: PLC0415

    import evenkeel_archive  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir=home, prefix="incoming-") as incoming:
        evenkeel_archive.receive(f"{incoming}/artifact", sha256)
        os.mkdir(f"{incoming}/tree", 0o755)
        evenkeel_archive.unpack(f"{incoming}/artifact", f"{incoming}/tree")
        manifest = manifest_of(f"{incoming}/tree")
        replace(home, f"{incoming}/tree", f"{incoming}/artifact")
    return manifest


def replace(home: str, tree: str, archive: str) -> None:
    """Put the unpacked tree and the archive in the place of the slot's current ones."""
    import shutil  # noqa: PLC0415

    if os.path.exists(f"{home}/slot.json"):
        os.unlink(f"{home}/slot.json")
    shutil.rmtree(f"{home}/current", ignore_errors=True)
    os.rename(tree, f"{home}/current")
    os.replace(archive, f"{home}/artifact.tar.gz")


def limit(slot: str, limits: dict[str, Any]) -> None:
    """Give the slot's unit, and no other, the manifest's limits; they count from its next start on."""
    wanted = f"[Service]\nMemoryMax={limits.get('memory_mb', 256)}M\nTimeoutStopSec={limits.get('stop_seconds', 30)}\n"
    path = LIMITS.format(slot=slot)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == wanted:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(wanted)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def move_to(slot: str, known: dict[str, Any], tables: dict[str, str]) -> None:
    """Let the version that the slot holds work on other tables from its next start on."""
    if is_active(slot):
        fail(f"slot {slot} is running {known['version']} on other tables; stop it before it gets these")
    write_facts(f"{ROOT}/{slot}", known | {"tables": tables})


def describe(home: str, manifest: dict[str, Any], sha256: str, tables: dict[str, str]) -> None:
    """Write slot.json, the last act of an installation: without it the slot counts as empty."""
    facts = {key: manifest[key] for key in ("name", "version", "start")}
    facts |= {"sha256": sha256, "http": manifest.get("http", {}), "limits": manifest.get("limits", {})}
    write_facts(home, facts | {"tables": tables, "schema": manifest.get("tables", [])})


def write_facts(home: str, facts: dict[str, Any]) -> None:
    """Write slot.json, whole or not at all."""
    with open(f"{home}/slot.json.new", "w", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{home}/slot.json.new", f"{home}/slot.json")


def held(slot: str) -> dict[str, Any]:
    """Return what the slot holds; fail if it is empty."""
    return described(slot) or fail(f"slot {slot} is empty; install a version first")


def start(slot: str, slowness: int = 1, count: int = 0) -> None:
    """Start the slot, wait until it is ready, and warm it with so many requests; on a slow host all so much longer."""
    facts = held(slot)
    seconds = float(facts["limits"].get("start_seconds", 60)) * slowness
    begin, done = time.monotonic(), {"slot": slot, "version": facts["version"]}
    with evenkeel_yield.yielding(slot, user_of(slot), min(seconds / 2, YIELD_SECONDS * slowness)):
        bring_up(slot)
        wait_until_ready(slot, facts["http"].get("ready", "/ready"), seconds, slowness)
        done["seconds"] = round(time.monotonic() - begin, 2)
        if count:
            import evenkeel_smoke  # noqa: PLC0415

            done["warmed"] = evenkeel_smoke.warm(address_of(slot), checks_of(slot), count, slowness)
    print(json.dumps(done))


def bring_up(slot: str) -> None:
    """Have systemd start the slot's unit, now and when the host starts."""
    subprocess.run(["systemctl", "reset-failed", unit(slot)], check=False, capture_output=True)
    # systemd reads these links when the host starts; to read all its units now would take a tenth of a second.
    subprocess.run(["systemctl", "enable", "--quiet", "--no-reload", unit(slot)], check=False)
    subprocess.run(["systemctl", "start", unit(slot)], check=False, capture_output=True)


def user_of(slot: str) -> int:
    """Return the number of the slot's own user."""
    return pwd.getpwnam(f"app-{slot}").pw_uid


def address_of(slot: str) -> str:
    """Return where the slot listens."""
    return f"127.0.0.1:{environment(slot)['PORT']}"


def wait_until_ready(slot: str, path: str, seconds: float, answer_seconds: float = 1) -> None:
    """Poll the slot until it answers; fail with its last log lines if it does not in that time."""
    from evenkeel_smoke import answers  # noqa: PLC0415

    end, begun, address, looks = time.monotonic() + seconds, time.time() - 1, address_of(slot), 0
    while not answers(address, path, answer_seconds):
        late, looks = time.monotonic() > end, looks + 1
        # The program that is starting needs the processor more than looking after it does.
        if late or looks % LOOKS_A_SECOND == 0:
            look = subprocess.run(["systemctl", "is-failed", unit(slot)], capture_output=True, text=True, check=False)
            if late or look.stdout.strip() == "failed":
                why = f"(unit {look.stdout.strip()}); it said: {last_words(slot, begun)}"
                fail(f"slot {slot} is not ready after {seconds:g} s {why}")
        time.sleep(1 / LOOKS_A_SECOND)


def last_words(slot: str, since: float) -> str:
    """Return the last lines that the slot's program has written since then, those of systemd if it wrote none."""
    for match in (f"_SYSTEMD_UNIT={unit(slot)}", f"--unit={unit(slot)}"):
        line = ["journalctl", match, f"--since=@{since:.0f}", "-n", "3", "-o", "cat", "--quiet", "--no-pager"]
        said = subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()
        if said:
            break
    return " | ".join(dict.fromkeys(said.split("\n")))[-600:]


def stop(slot: str) -> None:
    """Stop the slot gracefully and keep it stopped over a reboot."""
    subprocess.run(["systemctl", "disable", "--now", "--quiet", "--no-reload", unit(slot)], check=True)


def show() -> None:
    """Print both slots' content and state."""
    print(json.dumps({slot: {"installed": described(slot), **running(slot)} for slot in SLOTS}))


def running(slot: str) -> dict[str, Any]:
    """Return what systemd knows of the slot: running or not, restarts by itself, running since when, its memory."""
    command = ["systemctl", "show", unit(slot), "--timestamp=unix", f"--property={','.join(FACTS)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    since, memory = said.get("ActiveEnterTimestamp", "").lstrip("@"), said.get("MemoryCurrent", "")
    active = said.get("ActiveState") == "active"
    return {
        "active": active,
        "restarts": int(said.get("NRestarts") or 0),
        "since": int(since) if active and since.isdigit() else None,
        "memory_mb": memory_of(slot, memory) if active else None,
    }


def memory_of(slot: str, accounted: str) -> float:
    """Return the slot's memory in MiB; where systemd keeps no account it says «[not set]» or the largest number."""
    if accounted.isdigit() and int(accounted) < 2**60:
        return round(int(accounted) / 2**20, 1)
    return round(evenkeel_memory.used_mb(evenkeel_memory.processes(user_of(slot))), 1)


def checks_of(slot: str) -> list[dict[str, Any]]:
    """Return the smoke checks of the version in the slot."""
    held(slot)
    checks: list[dict[str, Any]] = manifest_of(f"{ROOT}/{slot}/current").get("smoke", [])
    return checks


def smoke(slot: str, slowness: int) -> None:
    """Make the manifest's smoke checks and print how they went."""
    import evenkeel_smoke  # noqa: PLC0415

    # A start that was killed on its way cannot have ended this, and from here on users may come.
    evenkeel_yield.restore(user_of(slot))
    print(json.dumps(evenkeel_smoke.smoke(address_of(slot), checks_of(slot), slowness)))


def become(slot: str) -> None:
    """Replace this process by the slot's start command."""
    facts = held(slot)
    os.chdir(f"{ROOT}/{slot}/current")
    argv = facts["start"]
    port_variable = facts["http"].get("port_variable", "PORT")
    os.environ[port_variable] = os.environ["PORT"]
    os.environ["VERSION"] = facts["version"]
    for name, table in facts.get("tables", {}).items():
        os.environ[f"DATABASE_TABLE_{name.upper()}"] = table
    if not evenkeel_memory.is_limited():
        evenkeel_memory.guard(facts["limits"].get("memory_mb", 256))
    evenkeel_yield.join_if_asked(slot)
    program = os.path.abspath(argv[0]) if "/" in argv[0] else argv[0]
    try:
        os.execvp(program, argv)  # noqa: S606 - becoming the application is the point
    except OSError as error:
        fail(f"slot {slot}: its start command {argv[0]!r} cannot be run: {error.strerror}")


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    if len(arguments) > 1 and arguments[1] not in SLOTS:
        fail(f"slot {arguments[1]!r} is not one of {', '.join(SLOTS)}")
    told = SLOWNESS.fullmatch(arguments[-1]) if arguments and arguments[0] in ("start", "smoke") else None
    slowness = int(told[1]) if told else 1
    match arguments[:-1] if told else arguments:
        case ["install", slot, sha256, *named]:
            install(slot, sha256, tables_of(named))
        case ["start", slot]:
            start(slot, slowness)
        case ["start", slot, count] if count.isdigit():
            start(slot, slowness, int(count))
        case ["smoke", slot]:
            smoke(slot, slowness)
        case ["stop", slot]:
            stop(slot)
        case ["show"]:
            show()
        case ["exec", slot]:
            become(slot)
        case _:
            words = "install SLOT SHA256 [NAME=TABLE...], start SLOT [COUNT], smoke, stop or exec SLOT"
            fail(f"use {words}, or show")


if __name__ == "__main__":
    main(sys.argv[1:])
