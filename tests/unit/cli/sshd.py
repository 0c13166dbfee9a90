"""An SSH server in this process, on loopback, that runs what it is told: enough to test a client."""

import contextlib
import socket
import subprocess
import threading

import paramiko


class Door(paramiko.ServerInterface):
    """Lets one public key in, and starts commands."""

    def __init__(self, allowed: paramiko.PKey, environment: dict[str, str]) -> None:
        self.allowed = allowed
        self.environment = environment

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        same = username == "root" and key.asbytes() == self.allowed.asbytes()
        return paramiko.AUTH_SUCCESSFUL if same else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self.execute, args=(channel, command), daemon=True).start()
        return True

    def execute(self, channel: paramiko.Channel, command: bytes) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )
        pumps = [
            threading.Thread(target=pump, args=(process.stdout.read1, channel.sendall)),
            threading.Thread(target=pump, args=(process.stderr.read1, channel.sendall_stderr)),
        ]
        feeder = threading.Thread(target=feed, args=(channel, process), daemon=True)
        for thread in [*pumps, feeder]:
            thread.start()
        for thread in pumps:
            thread.join()
        with contextlib.suppress(OSError, EOFError):
            status = process.wait()
            channel.send_exit_status(status if status >= 0 else 128 - status)
            channel.close()


def pump(read, write) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := read(65536):
            write(data)


def feed(channel: paramiko.Channel, process: subprocess.Popen) -> None:
    with contextlib.suppress(OSError, EOFError):
        pump(channel.recv, lambda data: (process.stdin.write(data), process.stdin.flush()))
        process.stdin.close()


class Server:
    """Listens on a free port until `close`."""

    def __init__(self, host_key: paramiko.PKey, allowed: paramiko.PKey, environment: dict[str, str]) -> None:
        self.host_key = host_key
        self.door = Door(allowed, environment)
        self.transports: list[paramiko.Transport] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self.host_key)
                self.transports.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=self.door, event=threading.Event())

    def drop(self) -> None:
        """Cut all connections, as a power cut does."""
        for transport in self.transports:
            transport.close()

    def close(self) -> None:
        self.listener.close()
        self.drop()
