"""Shared by the CLI's tests: keys, an SSH server on loopback, and a stack of sixteen hosts."""

import os

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.inventory import parse_outputs
from scripts.ssh import Login

from .sshd import Server
from .stack import outputs


def make_key() -> tuple[str, str]:
    """A new ed25519 pair: OpenSSH PEM, and the public line."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return pem, public.decode()


def as_paramiko(pem: str, tmp_path_factory) -> paramiko.PKey:
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(pem)
    return paramiko.Ed25519Key.from_private_key_file(str(path))


@pytest.fixture(scope="session")
def deploy_key():
    return make_key()


@pytest.fixture(scope="session")
def other_key():
    return make_key()


@pytest.fixture(scope="session")
def server_key():
    return make_key()


@pytest.fixture
def sshd(deploy_key, server_key, tmp_path, tmp_path_factory):
    """A server; programs put into `tmp_path/bin` are on its PATH."""
    (tmp_path / "bin").mkdir()
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    server = Server(
        as_paramiko(server_key[0], tmp_path_factory), as_paramiko(deploy_key[0], tmp_path_factory), environment
    )
    yield server
    server.close()


@pytest.fixture
def login(sshd, deploy_key, server_key):
    return Login("lb-a", "127.0.0.1", server_key[1], deploy_key[0], port=sshd.port)


@pytest.fixture
def inventory(tmp_path):
    return parse_outputs(outputs(), "dev", tmp_path)
