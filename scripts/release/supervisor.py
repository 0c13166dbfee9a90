"""Runs one stage under its deadline, with a heartbeat, and always ends in a verdict.

The stage's work is done by a thread; the main thread waits for it, for the deadline and for what the heartbeat hears
(abort, a lost lock, a fired dead-man timer), and answers at once, whatever the work is stuck in.
"""

from __future__ import annotations

import copy
import math
import queue
import time
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

from components.stages import Kind, State, deadline
from scripts.journal.words import span
from scripts.release import freezing
from scripts.release.documents import Verdict, now
from scripts.release.errors import HeldError, RefusedError, RevertedError, StageError, StageFailedError
from scripts.release.journal import JournalError, JournalRefused
from scripts.release.load_balancers import seen_down
from scripts.release.remote_journal import BEAT_SECONDS, LEASE_SECONDS
from scripts.release.work import StoppedError, Work, is_protected
from scripts.ssh import SshError

RENEW_SHARE = 0.2  # of the time that load balancers wait; a renewal is written to disk on each of them
SILENT = "journal_silent_since"  # by the deployer's clock, which one update shares
Ending = tuple[State, str]
Action = Callable[[Work], str]


def supervise(work: Work, action: Action) -> Verdict:
    """Run the stage's action, which returns a sentence on what it did, and return the verdict."""
    began = time.monotonic()
    endings: queue.Queue[Ending] = queue.Queue()
    if work.heard is not None:
        listen(work, work.heard, endings)  # what was said before the stage began is obeyed before it does anything
    if endings.empty():
        Thread(target=do, args=(work, action, endings), daemon=True).start()
        Thread(target=beat, args=(work, endings), daemon=True).start()
    seconds = deadline(work.stage, work.told.release.plan, work.told.figure("data_rows"))
    try:
        state, reason = endings.get(timeout=seconds)
    except queue.Empty:
        state, reason = State.FAILED, f"not done after {seconds:.0f} s, its deadline"
    work.stopped.set()
    if state is State.FAILED and work.stage.kind in (Kind.SHIFT, Kind.FREEZE):
        take_back(work)
    if state is State.FAILED and work.stage.kind is Kind.PREFLIGHT and not work.token:
        state = State.REFUSED  # without the lock nothing was touched, and nothing may be
    return Verdict(work.stage.name, state, reason, dict(work.figures), time.monotonic() - began, now())


def do(work: Work, action: Action, endings: queue.Queue[Ending]) -> None:
    """Do the stage's work and tell how it ended."""
    try:
        endings.put((State.PASSED, action(work)))
    except StoppedError:
        return  # the main thread knows why
    except StageError as error:
        work.figures.update(error.figures)
        endings.put((state_for(error), str(error)))
    except (SshError, JournalError) as error:
        endings.put((State.FAILED, str(error)))
    except Exception as error:  # a mistake of ours must end in a verdict too, or nobody rolls back
        endings.put((State.FAILED, f"{type(error).__name__}: {error}"))


def state_for(error: StageError) -> State:
    """Return the verdict that an error means."""
    if isinstance(error, RefusedError):
        return State.REFUSED
    return State.HELD if isinstance(error, HeldError) else State.FAILED


def beat(work: Work, endings: queue.Queue[Ending]) -> None:
    """Be the stage's heartbeat; without one the stage must not go on, whatever has ended it."""
    try:
        keep_alive(work, endings)
    except Exception as error:  # a mistake of ours: nobody would hear an abort any more
        stop(work, endings, f"the heartbeat has ended: {type(error).__name__}: {error}")


def keep_alive(work: Work, endings: queue.Queue[Ending]) -> None:
    """Renew the lock and the dead-man timers while the stage works; stop it when that cannot go on."""
    heard, renewed = float(work.told.figure(SILENT) or time.time()), -math.inf
    while not work.stopped.wait(0 if work.token and work.heard is None else BEAT_SECONDS):
        work.heard = None
        if not work.token:
            continue  # preflight, which has no lock yet
        try:
            listen(work, work.journal.beat(work.token, work.told.release.id, work.stage.name), endings)
            heard = time.time()
            if SILENT in work.figures or work.told.figure(SILENT):
                work.figures[SILENT] = None
        except JournalRefused as error:
            stop(work, endings, f"the lock is lost: {error}")
        except (SshError, JournalError) as error:
            # Stages are short: the next one goes on counting from here.
            work.figures[SILENT] = round(heard, 1)
            if time.time() - heard > LEASE_SECONDS * work.told.stack.slowness:
                stop(work, endings, f"{error}; without its journal and lock a release must not go on")
        # From when the order is sent, and by a clock that nobody sets: one that cannot be told may take long to say so.
        now = time.monotonic()
        if now - renewed >= deadman_seconds(work) * RENEW_SHARE and renew(work, endings):
            renewed = now
        left = freezing.seconds_left(work)
        if left is not None and left < 0:
            stop(work, endings, f"writes have waited for {span(freezing.ceiling(work.told.release.plan))}, the longest")
        if work.stopped.wait(BEAT_SECONDS):
            return


def listen(work: Work, heard: Mapping[str, Any], endings: queue.Queue[Ending]) -> None:
    """Keep what people said; an abort stops the stage."""
    work.signals[:] = heard["signals"]
    aborted = work.signal("abort")
    if aborted:
        why = f": {aborted['reason']}" if aborted.get("reason") else ""
        stop(work, endings, f"aborted by {aborted['who']}{why}")


def renew(work: Work, endings: queue.Queue[Ending]) -> bool:
    """Tell the load balancers' timers that the deployer lives, once a shift has armed them; return whether it did."""
    if is_protected(work.stage.kind) or not (work.told.figure("armed") or work.figures.get("armed")):
        return False
    try:
        work.load_balancers.renew(deadman_seconds(work))
    except RevertedError as error:
        stop(work, endings, f"a load balancer has taken the shift back: {error}")
    except StageFailedError:
        return False  # the work meets the same and says it better
    return True


def deadman_seconds(work: Work) -> int:
    """Return how long load balancers wait for a deployer that is silent."""
    return int(work.told.release.plan["deadman_seconds"])


def stop(work: Work, endings: queue.Queue[Ending], reason: str) -> None:
    """End the stage with a failure, unless it is the one that repairs, or there is no way back any more."""
    if not is_protected(work.stage.kind) and not work.figures.get(freezing.BEYOND):
        endings.put((State.FAILED, reason))


def take_back(work: Work) -> None:
    """Undo a failed shift or freeze at once, before anything else is started; the rollback stage looks after the rest.

    In a later turn than the stage's own, so that a change which is still on its way is refused, and so is what the
    stage's work sends before it has noticed that it is stopped. Where the old version is not whole, moving users would
    cost capacity: the rollback's guard decides.
    """
    balancers = copy.copy(work.load_balancers)
    balancers.turn += 1
    try:
        if work.stage.kind is Kind.FREEZE:  # nobody has been moved
            balancers.apply(work.told.release.id, {}, thaw=True)
            work.figures["taken_back"] = balancers.reachable
            return
        old = list(work.told.figure("routing_before", []))
        down = sorted(seen_down(balancers.state(), old))
        if down:
            work.figures["not_taken_back"] = f"{', '.join(down)} of the old version is down"
            return
        work.figures["taken_back"] = sorted(balancers.revert())
    except StageError as error:
        work.figures["not_taken_back"] = str(error)
    except Exception as error:  # a mistake of ours must not keep the verdict from the rollback
        work.figures["not_taken_back"] = f"{type(error).__name__}: {error}"
