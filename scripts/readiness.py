"""Waiting until a host answers: its sshd says who it is."""

import socket
import sys
import time

SSH_PORT = 22
PROGRESS_SECONDS = 5.0


def wait_for_ssh(name: str, address: str, seconds: float) -> bool:
    """Whether sshd sent its banner within `seconds`; says every 5 s what it waits for."""
    started = time.monotonic()
    said = started
    while not answers(address):
        now = time.monotonic()
        if now - started > seconds:
            return False
        if now - said > PROGRESS_SECONDS:
            said = now
            print(f"{name}: waiting for sshd at {address} ({now - started:.0f} s)", file=sys.stderr, flush=True)
        time.sleep(0.2)
    return True


def answers(address: str, port: int = SSH_PORT) -> bool:
    """Whether an SSH server greets at the address."""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
