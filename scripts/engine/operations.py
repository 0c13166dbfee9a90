"""The verbs that run the program or change what there is: up, preview, destroy."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from scripts.engine.checkpoint import Snapshot
from scripts.engine.config import ConfigValue
from scripts.engine.deployment import Deployment
from scripts.engine.display import Display
from scripts.engine.errors import EngineError, UsageError
from scripts.engine.events import Sink
from scripts.engine.lock import hold_lock
from scripts.engine.monitor import serve_program
from scripts.engine.perform import Surroundings
from scripts.engine.preview_json import PreviewJson
from scripts.engine.program import TOLD, Program
from scripts.engine.providers.context import Cancellation, Children
from scripts.engine.reaper import Reaper
from scripts.engine.session import Stack
from scripts.engine.steps import Op, Step

_Run = Callable[[Deployment, Stack, dict[str, ConfigValue]], None]
FAILED = 1
CHANGES_PROPOSED = 7
_NEEDS_YES = (
    "--yes or --skip-preview or --preview-only must be passed in to proceed when running in non-interactive mode"
)


@dataclass
class Options:
    """What the command line said."""

    yes: bool = False
    skip_preview: bool = False
    preview_only: bool = False
    json: bool = False
    diff: bool = False
    expect_no_changes: bool = False
    interactive: bool = False
    colour: bool = False
    parallel: int = 16
    replace: frozenset[str] = frozenset()


class Counting:
    """A sink that passes everything on and knows whether anything changes."""

    def __init__(self, inner: Sink) -> None:
        self._inner = inner
        self.changes = 0
        self.started, self.failed = inner.started, inner.failed
        self.status, self.log, self.outputs = inner.status, inner.log, inner.outputs

    def finished(self, step: Step, seconds: float) -> None:
        """A step succeeded."""
        if step.op is not Op.SAME and not step.state.is_provider:
            self.changes += 1
        self._inner.finished(step, seconds)


def preview(stack: Stack, options: Options) -> int:
    """Show what `up` would do."""
    config = stack.config()
    if options.json:
        collected = PreviewJson(config)
        failed, changes = _run(stack, config, Counting(collected), _program_run, dry_run=True, options=options)
        print(collected.document())
    else:
        failed, changes = _shown(stack, config, "Previewing update", _program_run, dry_run=True, options=options)
    if failed:
        return FAILED
    if options.expect_no_changes and changes:
        print("error: no changes were expected for preview but changes were proposed", file=sys.stderr)
        return CHANGES_PROPOSED
    return 0


def update(stack: Stack, options: Options) -> int:
    """Bring the stack to what the program describes."""
    return _change(stack, options, _Change("update", "Updating", stack.config(), _program_run))


def destroy(stack: Stack, options: Options) -> int:
    """Delete everything in the stack."""
    code = _change(stack, options, _Change("destroy", "Destroying", {}, _destroy_run))
    if code == 0 and not options.preview_only:
        print(
            "The resources in the stack have been deleted, but the history and configuration associated with the "
            f"stack are still maintained. \nIf you want to remove the stack completely, run `pulumi stack rm "
            f"{stack.name}`."
        )
    return code


@dataclass(frozen=True)
class _Change:
    """One kind of change."""

    noun: str
    title: str
    config: dict[str, ConfigValue]
    run: _Run


def _change(stack: Stack, options: Options, change: _Change) -> int:
    noun, config, run = change.noun, change.config, change.run
    if not options.interactive and not (options.yes or options.skip_preview or options.preview_only):
        raise UsageError(_NEEDS_YES)
    if not options.skip_preview or options.preview_only:
        failed, _ = _shown(stack, config, f"Previewing {noun}", run, dry_run=True, options=options)
        if failed or options.preview_only:
            return FAILED if failed else 0
    if options.interactive and not (options.yes or options.skip_preview) and not _confirmed(noun):
        print(f"confirmation declined, not proceeding with the {noun}")
        return FAILED
    with hold_lock(stack.backend, stack.name, print):
        begun = time.time()
        failed, _ = _shown(stack, config, change.title, run, dry_run=False, options=options)
        _record(stack, noun, failed, begun)
    return FAILED if failed else 0


def _confirmed(noun: str) -> bool:
    try:
        answer = input(f"Do you want to perform this {noun}? [yes/no] ")
    except (EOFError, KeyboardInterrupt):
        return False
    return answer.strip().lower() in ("yes", "y")


def _shown(
    stack: Stack, config: dict[str, ConfigValue], title: str, run: _Run, *, dry_run: bool, options: Options
) -> tuple[bool, int]:
    display = Display(f"{title} ({stack.name})", dry_run, options.colour, options.diff)
    failed = True
    try:
        failed, changes = _run(stack, config, Counting(display), run, dry_run=dry_run, options=options)
    finally:
        display.close(failed)
    return failed, changes


def _run(
    stack: Stack, config: dict[str, ConfigValue], sink: Counting, run: _Run, *, dry_run: bool, options: Options
) -> tuple[bool, int]:
    """Run a deployment; returns whether it failed and how many changes it made."""
    previous = stack.deployment()
    snapshot = Snapshot(previous, stack.crypter(), None if dry_run else stack.backend, stack.name)
    reaper = Reaper()
    children = Children(Cancellation(), reaper)
    around = Surroundings(
        project=stack.project.name,
        stack=stack.name,
        root=stack.project.root,
        sink=sink,
        children=children,
        dry_run=dry_run,
        parallel=options.parallel,
        replace=options.replace,
    )
    deployment = Deployment(around, previous.resources, snapshot)
    if snapshot.carried_creations and not dry_run:
        sink.log("", "warning", _interrupted(snapshot.carried_creations))
    with _interruptible(deployment):
        try:
            run(deployment, stack, config)
        finally:
            deployment.stop()
            deployment.wait_idle()
            deployment.close()
            snapshot.close()
            reaper.close()
    if children.cancellation.requested:
        sink.log("", "error", "the update was cancelled; run it again to finish it")
        return True, sink.changes
    return deployment.errors > 0, sink.changes


def _interrupted(urns: list[str]) -> str:
    names = ", ".join(sorted({urn.rsplit("::", 1)[1] for urn in urns}))
    return f"an earlier update was interrupted while it created {names}; creating it again now settles that"


def _program_run(deployment: Deployment, stack: Stack, config: dict[str, ConfigValue]) -> None:
    with serve_program(deployment, config) as address:
        program = Program(stack.project, deployment.around, config, address)
        watcher = threading.Thread(target=_end_when_stopped, args=(deployment, program), daemon=True)
        watcher.start()
        code = program.wait()
        deployment.wait_idle()
        if code == TOLD:
            deployment.errors += 1
        elif code and not deployment.stopped:
            deployment.fail("", f"program exited with non-zero exit code: {code}")
        if code == 0 and not deployment.stopped and not deployment.errors:
            deployment.delete_rest()


def _end_when_stopped(deployment: Deployment, program: Program) -> None:
    """The program of a stopped deployment cannot go on."""
    deployment.wait_stopped()
    deployment.wait_idle()
    program.end()


def _destroy_run(deployment: Deployment, stack: Stack, config: dict[str, ConfigValue]) -> None:
    del stack, config
    deployment.delete_all()


@contextmanager
def _interruptible(deployment: Deployment) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) ends the running commands and saves; the second ends at once."""
    children = deployment.around.children
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if asked.is_set():
            children.kill()
            raise SystemExit(128 + number)
        asked.set()
        print("^C received; ending what runs and saving. Press ^C again to stop at once.", file=sys.stderr, flush=True)
        deployment.stop()
        threading.Thread(target=children.cancellation.request, daemon=True).start()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _record(stack: Stack, kind: str, failed: bool, begun: float) -> None:
    """The update's entry in the stack's history."""
    record: dict[str, Any] = {
        "kind": kind,
        "startTime": int(begun),
        "message": "",
        "environment": {"exec.kind": "evenkeel.engine"},
        "config": None,
        "result": "failed" if failed else "succeeded",
        "endTime": int(time.time()),
    }
    try:
        stack.backend.add_history(stack.name, record)
    except OSError as error:
        raise EngineError(f"the update is done, but its history could not be written: {error}") from error
