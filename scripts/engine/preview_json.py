"""`preview --json`: the CLI's document of steps, change summary and diagnostics."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import Any

from scripts.engine.config import ConfigValue
from scripts.engine.diff import Diff
from scripts.engine.serde import hide
from scripts.engine.state import ResourceState, state_to_json
from scripts.engine.steps import Op, Step
from scripts.engine.values import PropertyMap

_SHOWN = (Op.CREATE, Op.UPDATE, Op.REPLACE, Op.DELETE)
"""Steps listed; of a replacement only the replacement as a whole."""


class PreviewJson:
    """A sink that collects a preview."""

    def __init__(self, config: dict[str, ConfigValue]) -> None:
        self._config = {key: value.hidden for key, value in sorted(config.items())}
        self._steps: list[dict[str, Any]] = []
        self._diagnostics: list[dict[str, str]] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._begun = time.monotonic()

    def started(self, step: Step) -> None:
        """A step is listed as it is before it is performed."""
        root = not step.state.parent and not step.state.custom
        if step.state.is_provider or not (step.op in _SHOWN or (step.op is Op.SAME and root)):
            return
        with self._lock:
            self._steps.append(_step_json(step))

    def finished(self, step: Step, seconds: float) -> None:
        """A step is counted."""
        del seconds
        if not step.state.is_provider and step.op in (*_SHOWN, Op.SAME):
            with self._lock:
                self._counts[step.op.value] += 1

    def failed(self, step: Step, reason: str, seconds: float) -> None:
        """A step failed."""
        del seconds
        self.log(step.urn, "error", reason)

    def status(self, urn: str, line: str) -> None:
        """Output of commands is no part of the document."""

    def log(self, urn: str, severity: str, text: str) -> None:
        """A message becomes a diagnostic."""
        entry = {"urn": urn, "message": text, "severity": severity}
        with self._lock:
            self._diagnostics.append({key: value for key, value in entry.items() if value})

    def outputs(self, state: ResourceState, before: PropertyMap) -> None:
        """Outputs are no part of the document."""

    def document(self) -> str:
        """The document."""
        body: dict[str, Any] = {"config": self._config} if self._config else {}
        body["steps"] = self._steps
        if self._diagnostics:
            body["diagnostics"] = self._diagnostics
        body["duration"] = int((time.monotonic() - self._begun) * 1e9)
        body["changeSummary"] = dict(sorted(self._counts.items()))
        return json.dumps(body, indent=4, ensure_ascii=False)


def _step_json(step: Step) -> dict[str, Any]:
    body: dict[str, Any] = {"op": step.op.value, "urn": step.urn}
    if step.state.provider:
        body["provider"] = step.state.provider
    if step.old is not None:
        body["oldState"] = _state_json(step.old)
    if step.new is not None:
        body["newState"] = _state_json(step.new)
    if step.op in (Op.UPDATE, Op.REPLACE):
        if step.diff.keys:
            body["diffReasons"] = step.diff.keys
        if step.diff.replace_keys:
            body["replaceReasons"] = step.diff.replace_keys
    body["detailedDiff"] = _diff_json(step.diff) if step.op in (Op.UPDATE, Op.REPLACE) else None
    return body


def _diff_json(diff: Diff) -> dict[str, Any] | None:
    if not diff.detailed:
        return None
    return {path: {"kind": kind, "inputDiff": False} for path, kind in sorted(diff.detailed.items())}


def _state_json(state: ResourceState) -> dict[str, Any]:
    raw = state_to_json(state, hide)
    return {key: _shown(value) if key in ("inputs", "outputs") else value for key, value in raw.items()}


def _shown(value: Any) -> Any:
    """Encrypted secrets as the plain text [secret]."""
    if isinstance(value, dict):
        return value["ciphertext"] if "ciphertext" in value else {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list) else value
