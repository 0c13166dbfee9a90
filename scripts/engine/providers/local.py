"""Commands on this machine: `command:local:Command` and the invoke `command:local:run`."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import IO, Any

from scripts.engine.errors import ProviderError
from scripts.engine.providers.context import OperationContext
from scripts.engine.providers.output import Capture, quote
from scripts.engine.values import PropertyMap, reveal

_SHELL = ["/bin/sh", "-c"]


def run_local(command: str, inputs: PropertyMap, previous: PropertyMap, context: OperationContext) -> PropertyMap:
    """Run a command; returns its stdout and stderr. `previous` holds those of the run before, for its environment.

    Raises ProviderError in the provider's words when it fails.
    """
    plain: dict[str, Any] = reveal(inputs)
    capture = Capture(context.log, plain.get("logging"))
    if context.children.cancellation.requested:
        raise ProviderError("the update was cancelled before this command started")
    process = _start([*(plain.get("interpreter") or _SHELL), command], plain, reveal(previous), context)
    with context.children.track(process):
        _exchange(process, str(plain.get("stdin") or ""), capture)
        code = process.wait()
    capture.close()
    if code:
        raise ProviderError(f"{_exit_text(code)}: running {quote(command)}:\n{capture.mixed()}")
    return {"stdout": capture.text(0), "stderr": capture.text(1)}


def _start(
    arguments: list[str], plain: dict[str, Any], previous: dict[str, Any], context: OperationContext
) -> subprocess.Popen[bytes]:
    directory = context.root / (plain.get("dir") or "")
    if not directory.is_dir():
        raise ProviderError(f"chdir {directory}: no such file or directory: running {quote(arguments[-1])}:\n")
    try:
        return subprocess.Popen(
            arguments,
            cwd=directory,
            env=_environment(plain, previous),
            stdin=subprocess.PIPE if plain.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ProviderError(
            f'exec: "{arguments[0]}": executable file not found in $PATH: running {quote(arguments[-1])}:\n'
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ProviderError(f"fork/exec {arguments[0]}: {reason.lower()}: running {quote(arguments[-1])}:\n") from error


def _environment(plain: dict[str, Any], previous: dict[str, Any]) -> dict[str, str]:
    environment = {**os.environ, **(plain.get("environment") or {})}
    if plain.get("addPreviousOutputInEnv") is not False:
        for stream in ("stdout", "stderr"):
            if previous.get(stream):
                environment[f"PULUMI_COMMAND_{stream.upper()}"] = previous[stream]
    return environment


def _exchange(process: subprocess.Popen[bytes], stdin: str, capture: Capture) -> None:
    """Feed the process and read it until both its streams close."""
    streams = (process.stdout, process.stderr)
    threads = [
        threading.Thread(target=_pump, args=(stream, number, capture), daemon=True)
        for number, stream in enumerate(streams)
    ]
    for thread in threads:
        thread.start()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.write(stdin.encode())
        with suppress(BrokenPipeError):
            process.stdin.close()
    for thread in threads:
        thread.join()


def _pump(stream: IO[bytes] | None, number: int, capture: Capture) -> None:
    assert stream is not None  # noqa: S101 - both were asked for
    with stream:
        while data := os.read(stream.fileno(), 65536):
            capture.write(number, data)


def _exit_text(code: int) -> str:
    if code > 0:
        return f"exit status {code}"
    if -code == signal.SIGINT:
        return "signal: interrupt"
    return f"signal: {(signal.strsignal(-code) or f'signal {-code}').lower()}"
