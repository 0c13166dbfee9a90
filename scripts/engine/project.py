"""The project's files: Pulumi.yaml, Pulumi.STACK.yaml, and which stack is selected (as the CLI remembers it)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from scripts.engine.backend import Backend, write_durably
from scripts.engine.errors import EngineError

_STACK_NAME = re.compile(r"[A-Za-z0-9_.-]")


@dataclass(frozen=True)
class Project:
    """What Pulumi.yaml says."""

    root: Path
    file: Path
    name: str
    main: str = ""
    virtualenv: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    def stack_file(self, stack: str) -> Path:
        """The stack's settings file."""
        for suffix in (".yaml", ".yml"):
            path = self.root / f"Pulumi.{stack}{suffix}"
            if path.exists():
                return path
        return self.root / f"Pulumi.{stack}.yaml"


def load_yaml(path: Path) -> Any:
    """A YAML 1.2 file's content; EngineError names file and line where it cannot be read."""
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise EngineError(f"could not read {path}: {' '.join(str(error).split())}") from error


def load_project(directory: Path) -> Project:
    """The project that the directory, or the nearest one above it, holds."""
    for folder in (directory.resolve(), *directory.resolve().parents):
        for name in ("Pulumi.yaml", "Pulumi.yml"):
            if (folder / name).is_file():
                return _read_project(folder, folder / name)
    raise EngineError(
        "no Pulumi.yaml project file found (searching upwards from "
        f"{directory.resolve()}). If you have not created a project yet, use `pulumi new` to do so"
    )


def _read_project(root: Path, file: Path) -> Project:
    raw = load_yaml(file)
    if not isinstance(raw, dict) or not raw.get("name"):
        raise EngineError(f"could not read {file}: project is missing a 'name' attribute")
    runtime = raw.get("runtime")
    options = runtime.get("options") or {} if isinstance(runtime, dict) else {}
    language = runtime.get("name") if isinstance(runtime, dict) else runtime
    if language != "python":
        raise EngineError(f"the embedded engine runs Python programs only, but {file.name} says runtime: {language}")
    return Project(
        root=root,
        file=file,
        name=str(raw["name"]),
        main=str(raw.get("main") or ""),
        virtualenv=str(options.get("virtualenv") or ""),
        config=raw.get("config") or {},
    )


@dataclass
class StackFile:
    """A stack's settings file; `save` keeps its comments and order."""

    path: Path
    document: Any

    @property
    def salt(self) -> str:
        """The stack's encryptionsalt, or ""."""
        return str(self.document.get("encryptionsalt") or "")

    @property
    def config(self) -> dict[str, Any]:
        """The stack's config as the file has it, keys with their namespace."""
        return self.document.get("config") or {}

    def set_salt(self, salt: str) -> None:
        """Set the encryptionsalt, first in the file as the CLI writes it."""
        if hasattr(self.document, "insert"):
            self.document.insert(0, "encryptionsalt", salt)
        else:
            self.document["encryptionsalt"] = salt

    def editable_config(self) -> Any:
        """The config mapping, made if the file has none."""
        if not self.document.get("config"):
            self.document["config"] = {}
        return self.document["config"]

    def save(self) -> None:
        """Write the file back."""
        if not self.document.get("config"):
            self.document.pop("config", None)
        text = io.StringIO()
        _round_trip().dump(self.document, text)
        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644
        write_durably(self.path, text.getvalue() if self.document else "")
        self.path.chmod(mode)


_AMBIGUOUS = re.compile(r"^(y|n|yes|no|on|off|true|false|null|~)$", re.IGNORECASE)


def quoted(text: str) -> str:
    """Text for a settings file; quoted where a YAML 1.1 reader would take it for something else."""
    return DoubleQuotedScalarString(text) if _AMBIGUOUS.match(text) else text


def _round_trip() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def load_stack_file(project: Project, stack: str) -> StackFile:
    """The stack's settings file; empty when there is none yet."""
    path = project.stack_file(stack)
    if not path.exists():
        return StackFile(path, CommentedMap())
    try:
        document = _round_trip().load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise EngineError(f"could not read {path}: {' '.join(str(error).split())}") from error
    if document is None:
        document = CommentedMap()
    if not isinstance(document, dict):
        raise EngineError(f"could not read {path}: it must hold a mapping such as config:")
    return StackFile(path, document)


def check_stack_name(name: str) -> str:
    """A stack's plain name; `organization/PROJECT/` before it is taken off. EngineError for a bad one."""
    plain = name.rsplit("/", 1)[-1]
    if not plain:
        raise EngineError("stack name must not be empty")
    for position, character in enumerate(plain):
        if not _STACK_NAME.match(character):
            raise EngineError(
                "a stack name may only contain alphanumeric, hyphens, underscores, or periods: "
                f"invalid character {character!r} at position {position}"
            )
    return plain


def _selection_file(project: Project) -> Path:
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    digest = hashlib.sha1(str(project.file).encode(), usedforsecurity=False).hexdigest()
    return home / "workspaces" / f"{project.name}-{digest}-workspace.json"


def _selections(project: Project) -> dict[str, str]:
    try:
        stacks = json.loads(_selection_file(project).read_text(encoding="utf-8")).get("stacks")
    except (OSError, ValueError, AttributeError):
        return {}
    return stacks if isinstance(stacks, dict) else {}


def selected_stack(project: Project, backend: Backend) -> str | None:
    """The stack that `stack select` or `stack init` chose for this project and backend, or None."""
    if os.environ.get("PULUMI_STACK"):
        return check_stack_name(os.environ["PULUMI_STACK"])
    name = _selections(project).get(backend.url, "").rsplit("/", 1)[-1]
    return name if name and backend.exists(name) else None


def select_stack(project: Project, backend: Backend, stack: str | None) -> None:
    """Remember the selected stack; None forgets it."""
    stacks = _selections(project)
    if stack is None:
        stacks.pop(backend.url, None)
    else:
        stacks[backend.url] = f"organization/{project.name}/{stack}"
    write_durably(_selection_file(project), json.dumps({"stacks": stacks}, indent=4))
