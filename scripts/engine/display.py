"""Shows a deployment on the terminal: lines as steps start and end (for a preview a tree), then outputs and counts."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import TextIO

from scripts.engine.render import diff_lines, output_lines
from scripts.engine.state import STACK_TYPE, ResourceState, urn_name, urn_type
from scripts.engine.steps import Op, Step
from scripts.engine.tree import tree_lines, tree_rows
from scripts.engine.values import PropertyMap

_WORDS = {  # operation: (mark, in a preview, while it runs, when done)
    Op.CREATE: ("+ ", "create", "creating", "created"),
    Op.UPDATE: ("~ ", "update", "updating", "updated"),
    Op.DELETE: ("- ", "delete", "deleting", "deleted"),
    Op.REPLACE: ("+-", "replace", "replacing", "replaced"),
    Op.CREATE_REPLACEMENT: ("++", "create replacement", "creating replacement", "created replacement"),
    Op.DELETE_REPLACED: ("--", "delete original", "deleting original", "deleted original"),
}
_COLOURS = {"+ ": "32", "~ ": "33", "- ": "31", "+-": "35", "++": "32", "--": "31", "error": "31", "warning": "33"}
_COUNTED = {  # how the summary counts: (mark, to do, done)
    Op.CREATE: ("+ ", "to create", "created"),
    Op.UPDATE: ("~ ", "to update", "updated"),
    Op.REPLACE: ("+-", "to replace", "replaced"),
    Op.DELETE: ("- ", "to delete", "deleted"),
}
HEARTBEAT_SECONDS = 15.0


class Display:
    """A sink that prints; `show_diff` adds the changed properties. What is unchanged is only counted."""

    def __init__(self, title: str, dry_run: bool, colour: bool, show_diff: bool = False) -> None:
        self._dry_run = dry_run
        self._colour = colour
        self._show_diff = show_diff
        self._out: TextIO = sys.stdout
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._running: dict[str, tuple[str, float]] = {}
        self._counts: Counter[Op] = Counter()
        self._steps: list[Step] = []  # of a preview
        self._messages: dict[str, list[tuple[str, str]]] = {}
        self._outputs: tuple[PropertyMap, PropertyMap] | None = None
        self._spoke = time.monotonic()
        self._print(self._paint("1", f"{title}:"))
        self._beat = threading.Event()
        threading.Thread(target=self._heartbeat, daemon=True).start()

    # The deployment's events

    def started(self, step: Step) -> None:
        """A step begins."""
        if step.state.is_provider:
            return
        with self._lock:
            if self._dry_run:
                self._steps.append(step)
            elif not self._hidden(step):
                self._line(step, f"{_WORDS[step.op][2]} (0s)")
                self._running[step.urn] = (step.state.name, time.monotonic())

    def finished(self, step: Step, seconds: float) -> None:
        """A step succeeded."""
        with self._lock:
            if not step.state.is_provider and step.op in (*_COUNTED, Op.SAME):
                self._counts[step.op] += 1
            if self._hidden(step):
                return
            self._running.pop(step.urn, None)
            if not self._dry_run:
                self._line(step, f"{_WORDS[step.op][3]} ({seconds:.2f}s)")

    def failed(self, step: Step, reason: str, seconds: float) -> None:
        """A step failed."""
        with self._lock:
            self._running.pop(step.urn, None)
            self._line(step, self._paint("31", f"**{_WORDS[step.op][2]} failed** ({seconds:.2f}s)"))
            self._messages.setdefault(step.urn, []).append(("error", reason))

    def status(self, urn: str, line: str) -> None:
        """A running step printed a line."""
        with self._lock:
            self._print(f"    {urn_name(urn) + ': ' if urn else ''}{line}")

    def log(self, urn: str, severity: str, text: str) -> None:
        """A message."""
        with self._lock:
            self._messages.setdefault(urn, []).append((severity, text))
            if severity != "error" or not self._dry_run:
                first = text.split("\n", 1)[0]
                self._print(f"    {self._label(urn)}{self._severity(severity)}{first}")

    def outputs(self, state: ResourceState, before: PropertyMap) -> None:
        """The stack's outputs are known."""
        if state.type == STACK_TYPE:
            self._outputs = (state.outputs, before)

    # The end

    def close(self, failed: bool) -> None:
        """Print what comes last."""
        self._beat.set()
        with self._lock:
            self._tree()
            self._diagnostics()
            self._stack_outputs(failed)
            self._print(self._paint("1", "Resources:"))
            for line in self._summary():
                self._print(f"    {line}")
            if not self._dry_run:
                self._print(f"\nDuration: {duration_text(time.monotonic() - self._begun)}")
            self._print("")

    def _diagnostics(self) -> None:
        told = {urn: messages for urn, messages in self._messages.items() if messages}
        if not told:
            return
        self._print(self._paint("1", "Diagnostics:"))
        for urn, messages in told.items():
            self._print(f"  {urn_type(urn)} ({urn_name(urn)}):" if urn else "  program:")
            for severity, text in messages:
                for number, line in enumerate(text.rstrip("\n").split("\n")):
                    self._print(f"    {self._severity(severity) if number == 0 else ''}{line}")
            self._print("")

    def _stack_outputs(self, failed: bool) -> None:
        if self._outputs is None or failed:
            return
        outputs, before = self._outputs
        lines = list(output_lines(outputs, before))
        if lines and not (self._dry_run and outputs == before):
            self._print(self._paint("1", "Outputs:"))
            for line in lines:
                self._print(line)
            self._print("")

    def _summary(self) -> Iterable[str]:
        changes = 0
        for op, (mark, future, past) in _COUNTED.items():
            if self._counts[op]:
                changes += self._counts[op]
                yield self._paint(_COLOURS[mark], f"{mark}{self._counts[op]} {future if self._dry_run else past}")
        same = self._counts[Op.SAME]
        kinds = sum(1 for op in _COUNTED if self._counts[op])
        if kinds > 1:
            yield f"{changes} changes. {same} unchanged" if same else f"{changes} changes"
        elif same:
            yield f"{same} unchanged"

    # Lines

    def _tree(self) -> None:
        """What a preview found, changed resources under their components."""
        rows = tree_rows(self._steps)
        if not rows:
            return
        for text, row in tree_lines(rows, lambda step: (_WORDS[step.op][0], _WORDS[step.op][1], _changed(step))):
            step = row.step if row else None
            self._print(self._paint(_COLOURS[_WORDS[step.op][0]], text) if step else text)
            if step is not None and self._show_diff and step.new is not None:
                for line in diff_lines(step.old.inputs if step.old else {}, step.new.inputs, "      "):
                    self._print(line)
        self._print("")

    def _line(self, step: Step, words: str) -> None:
        mark = _WORDS[step.op][0]
        head = self._paint(_COLOURS[mark], f" {mark}")
        self._print(f"{head} {urn_type(step.urn)} {step.state.name} {words} {_changed(step)}".rstrip())

    def _hidden(self, step: Step) -> bool:
        return step.op not in _WORDS or step.state.is_provider

    def _label(self, urn: str) -> str:
        return f"{urn_type(urn)} {urn_name(urn)} " if urn else ""

    def _severity(self, severity: str) -> str:
        return self._paint(_COLOURS[severity], f"{severity}: ") if severity in _COLOURS else ""

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    def _print(self, text: str) -> None:
        self._spoke = time.monotonic()
        print(text, file=self._out, flush=True)

    def _heartbeat(self) -> None:
        """Where nothing was printed for a while, say what is being waited for."""
        while not self._beat.wait(1.0):
            with self._lock:
                if self._running and time.monotonic() - self._spoke >= HEARTBEAT_SECONDS:
                    waits = ", ".join(
                        f"{name} ({time.monotonic() - since:.0f}s)" for name, since in list(self._running.values())[:6]
                    )
                    more = f" and {len(self._running) - 6} more" if len(self._running) > 6 else ""
                    self._print(f"@ waiting for {waits}{more}")


def _changed(step: Step) -> str:
    return f"[diff: ~{','.join(step.diff.keys)}]" if step.diff.keys else ""


def duration_text(seconds: float) -> str:
    """A duration as the CLI rounds it: 1s, 1m5s."""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"
