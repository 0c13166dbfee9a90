"""What a command works on: project, backend, stack, its settings file, and the way to its secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.engine.backend import Backend, open_backend
from scripts.engine.checkpoint import Deployment, read_deployment, stored_salt
from scripts.engine.config import ConfigValue, check_config, has_secret, merge_config
from scripts.engine.errors import EngineError
from scripts.engine.passphrase import Crypter, new_crypter, open_crypter, read_passphrase
from scripts.engine.project import Project, StackFile, check_stack_name, load_project, load_stack_file, selected_stack

NO_STACK = "no stack selected; please use `pulumi stack select` or `pulumi stack init` to choose one"


class MissingStackError(EngineError):
    """The named stack does not exist."""

    exit_code = 6


@dataclass
class Session:
    """A project and its backend."""

    project: Project
    backend: Backend
    _crypters: dict[str, Crypter] = field(default_factory=dict)

    def stack_name(self, given: str | None) -> str:
        """The stack a command is about; it must exist."""
        name = check_stack_name(given) if given else selected_stack(self.project, self.backend)
        if name is None:
            raise EngineError(NO_STACK)
        if not self.backend.exists(name):
            raise MissingStackError(f"no stack named '{name}' found")
        return name

    def crypter(self, salt: str) -> Crypter:
        """The crypter of an encryptionsalt."""
        if salt not in self._crypters:
            self._crypters[salt] = open_crypter(read_passphrase(), salt)
        return self._crypters[salt]

    def new_crypter(self) -> Crypter:
        """A crypter with a salt of its own."""
        crypter = new_crypter(read_passphrase())
        self._crypters[crypter.salt] = crypter
        return crypter


@dataclass
class Stack:
    """One stack, opened."""

    session: Session
    name: str
    file: StackFile
    checkpoint: dict[str, Any]

    @property
    def project(self) -> Project:
        """The stack's project."""
        return self.session.project

    @property
    def backend(self) -> Backend:
        """Where the stack's state is."""
        return self.session.backend

    def crypter(self) -> Crypter:
        """The stack's crypter; the settings file's salt decides, and is written there if it has none."""
        salt = self.file.salt or stored_salt(self.checkpoint)
        crypter = self.session.crypter(salt) if salt else self.session.new_crypter()
        if not self.file.salt:
            self.file.set_salt(crypter.salt)
            self.file.save()
        return crypter

    def reading_crypter(self) -> Crypter:
        """The crypter of the secrets in the state."""
        salt = stored_salt(self.checkpoint)
        return self.session.crypter(salt) if salt else self.crypter()

    def deployment(self) -> Deployment:
        """The state, read afresh."""
        self.checkpoint = self.backend.load(self.name)
        return read_deployment(self.checkpoint, self.reading_crypter())

    def config(self) -> dict[str, ConfigValue]:
        """The stack's checked configuration."""
        values = merge_config(self.project, self.file.config, self.config_crypter())
        check_config(self.project, self.name, values)
        return values

    def config_crypter(self) -> Crypter | None:
        """The crypter for the settings file's secrets, or None when it has none (then no passphrase is asked for)."""
        return self.crypter() if any(map(has_secret, self.file.config.values())) else None


def open_session(directory: str | None) -> Session:
    """The session of the current, or given, directory."""
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise EngineError(f"could not change to the directory {directory}: {error.strerror}") from error
    project = load_project(Path.cwd())
    url = os.environ.get("PULUMI_BACKEND_URL", "")
    if not url:
        raise EngineError("the embedded engine needs PULUMI_BACKEND_URL=file://DIRECTORY to keep its state in")
    return Session(project, open_backend(url, project.name))


def open_stack(session: Session, given: str | None) -> Stack:
    """The stack that a command is about."""
    name = session.stack_name(given)
    return Stack(session, name, load_stack_file(session.project, name), session.backend.load(name))
