"""The file backend's directory, laid out as the Pulumi CLI's (`pulumi login file://...`, project-scoped stacks)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from scripts.engine.errors import EngineError, StateError

REPLACE_WITH = "replaceWith"
"""The one feature of checkpoints of version 4 that this engine knows."""


def write_durably(path: Path, text: str) -> None:
    """Replace a file so that at any moment either its old or its new content is there, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class Backend:
    """One state directory and what is in it for a project."""

    def __init__(self, root: Path, project: str) -> None:
        self.root = root
        self.project = project
        self.base = root / ".pulumi"

    @property
    def url(self) -> str:
        """The backend's URL as messages show it."""
        return f"file://{self.root}"

    def prepare(self) -> None:
        """Make the directory a backend of layout version 1 if it is none yet."""
        meta = self.base / "meta.yaml"
        if not meta.exists():
            if any((self.base / "stacks").glob("*.json")):
                raise StateError(
                    f"{self.root} holds stacks in Pulumi's layout without projects; run `pulumi state upgrade` there"
                )
            self.base.mkdir(parents=True, exist_ok=True)
            write_durably(meta, "version: 1\n")

    def checkpoint(self, stack: str) -> Path:
        """The stack's checkpoint file."""
        return self.base / "stacks" / self.project / f"{stack}.json"

    def lock_directory(self, stack: str) -> Path:
        """Where locks of the stack are."""
        return self.base / "locks" / "organization" / self.project / stack

    def stacks(self) -> list[str]:
        """Names of the project's stacks."""
        return sorted(path.stem for path in (self.base / "stacks" / self.project).glob("*.json"))

    def exists(self, stack: str) -> bool:
        """Whether the stack has a checkpoint."""
        return self.checkpoint(stack).exists()

    def load(self, stack: str) -> dict[str, Any]:
        """The checkpoint's `checkpoint` member; StateError when it cannot be used."""
        path = self.checkpoint(stack)
        try:
            versioned = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise EngineError(f"no stack named '{stack}' found") from None
        except ValueError as error:
            raise StateError(f"{path} is not JSON ({error}); put {path.name}.bak in its place") from error
        if versioned.get("version") not in (3, 4) or not isinstance(versioned.get("checkpoint"), dict):
            raise StateError(f"{path} is not a checkpoint of version 3; open it with the Pulumi CLI that wrote it")
        strange = sorted({*(versioned.get("features") or ())} - {REPLACE_WITH})
        if strange:
            raise StateError(f"{path} uses {', '.join(strange)}, which only the Pulumi CLI knows; use it")
        checkpoint: dict[str, Any] = versioned["checkpoint"]
        return checkpoint

    def save(self, stack: str, checkpoint_text: str, features: Sequence[str] = ()) -> None:
        """Write the checkpoint, keeping the one before it as `.bak`; a state that uses features is of version 4."""
        path = self.checkpoint(stack)
        if path.exists():
            backup = path.with_name(path.name + ".bak")
            spare = path.with_name(f".{path.name}.{os.getpid()}.bak")
            spare.unlink(missing_ok=True)
            os.link(path, spare)
            spare.replace(backup)
        head = f'"version":4,"features":{json.dumps(list(features))}' if features else '"version":3'
        write_durably(path, f'{{{head},"checkpoint":{checkpoint_text}}}')

    def remove(self, stack: str) -> None:
        """Forget a stack: its checkpoint and history; a `.bak` stays, as with the CLI."""
        path = self.checkpoint(stack)
        path.replace(path.with_name(path.name + ".bak"))
        history = self.base / "history" / self.project / stack
        for file in history.glob("*"):
            file.unlink()
        if history.is_dir():
            history.rmdir()

    def add_history(self, stack: str, record: dict[str, Any]) -> None:
        """Record one update: its summary and a copy of the checkpoint it ended with."""
        prefix = self.base / "history" / self.project / stack / f"{stack}-{time.time_ns()}"
        write_durably(prefix.with_name(prefix.name + ".history.json"), json.dumps(record))
        if self.exists(stack):
            text = self.checkpoint(stack).read_text(encoding="utf-8")
            write_durably(prefix.with_name(prefix.name + ".checkpoint.json"), text)


def open_backend(url: str, project: str) -> Backend:
    """The backend that a `file://` URL names; its directory must exist, as with the CLI."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise EngineError(
            f"the embedded engine keeps state in files only, but the backend is {url or 'not set'}: "
            "set PULUMI_BACKEND_URL=file://DIRECTORY"
        )
    path = unquote(parts.netloc + parts.path)
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise EngineError(f"the backend's directory {root} does not exist; make it, or set PULUMI_BACKEND_URL")
    backend = Backend(root, project)
    backend.prepare()
    return backend
