"""Commands on other machines over SSH: `command:remote:Command`."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

from paramiko import Channel, SSHException

from scripts.engine.errors import ProviderError
from scripts.engine.providers.context import OperationContext
from scripts.engine.providers.output import Capture, quote
from scripts.engine.providers.ssh import dial, request_environment
from scripts.engine.values import PropertyMap, reveal


def run_remote(command: str, inputs: PropertyMap, previous: PropertyMap, context: OperationContext) -> PropertyMap:
    """Run a command on the connection's host; returns its stdout and stderr.

    Raises ProviderError in the provider's words when the dialling or the command fails.
    """
    plain: dict[str, Any] = reveal(inputs)
    capture = Capture(context.log, plain.get("logging"))
    cancellation = context.children.cancellation
    transport = dial(plain["connection"], cancellation, context.log)
    with closing(transport), cancellation.stopping(transport.close):
        try:
            channel = transport.open_session()
            _set_environment(channel, plain, reveal(previous))
            channel.exec_command(command)
            _exchange(channel, str(plain.get("stdin") or ""), capture)
            code = channel.recv_exit_status()
        except (SSHException, OSError, EOFError) as error:
            reason = str(error) or "the connection broke"
            raise ProviderError(f"{reason}: running {quote(command)}:\n{capture.mixed()}") from error
    capture.close()
    if code:
        raise ProviderError(f"{_exit_text(code, cancellation.requested)}: running {quote(command)}:\n{capture.mixed()}")
    return {"stdout": capture.text(0), "stderr": capture.text(1)}


def _set_environment(channel: Channel, plain: dict[str, Any], previous: dict[str, Any]) -> None:
    for name, value in (plain.get("environment") or {}).items():
        if not request_environment(channel, name, value):
            raise ProviderError(
                f"could not set environment variable {quote(name)}: ssh: setenv failed; the SSH server must list it "
                "under AcceptEnv, or the command be prefixed with VAR=value"
            )
    if plain.get("addPreviousOutputInEnv") is not False:
        for stream in ("stdout", "stderr"):
            if previous.get(stream):  # welcome where the server accepts it, no error where it does not
                channel.set_environment_variable(f"PULUMI_COMMAND_{stream.upper()}", previous[stream])


def _exchange(channel: Channel, stdin: str, capture: Capture) -> None:
    """Feed the command and read it until both its streams close."""
    threads = [
        threading.Thread(target=_pump, args=(receive, number, capture), daemon=True)
        for number, receive in enumerate((channel.recv, channel.recv_stderr))
    ]
    for thread in threads:
        thread.start()
    try:
        if stdin:
            channel.sendall(stdin.encode())
        channel.shutdown_write()
    except OSError:
        pass  # the command ended without reading its input
    for thread in threads:
        thread.join()


def _pump(receive: Any, number: int, capture: Capture) -> None:
    while data := receive(65536):
        capture.write(number, data)


def _exit_text(code: int, cancelled: bool) -> str:
    if code > 0:
        return f"Process exited with status {code}"
    if cancelled:
        return "the update was cancelled"
    return "wait: remote command exited without exit status or exit signal (the connection broke, or it was killed)"
