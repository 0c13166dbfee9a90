"""The few config values that are needed before the Pulumi program runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class StackConfig:
    """Which application version a stack wants, and whether its artifact is our own sample's."""

    version: str
    sample: bool


def read_config(root: Path, stack: str) -> StackConfig:
    """Read a stack's file over the project's defaults. Judging the values is the program's business, not ours."""
    defaults = {key: entry.get("default") for key, entry in _mapping(root / "Pulumi.yaml", "config").items()}
    chosen = {
        key.removeprefix("evenkeel:"): value for key, value in _mapping(root / f"Pulumi.{stack}.yaml", "config").items()
    }
    merged = defaults | chosen
    return StackConfig(str(merged.get("version")), merged.get("artifact") == defaults.get("artifact"))


def _mapping(path: Path, key: str) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = yaml.safe_load(path.read_text()) or {}
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}
