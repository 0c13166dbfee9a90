"""Live progress: what goes on, how much is done, how much time is left; plain lines where nobody watches."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from scripts.journal.words import span


class TimeLeft(ProgressColumn):
    """How long it will be until the time at which all is thought to be done."""

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        """The time in words, nothing while it is not known."""
        ends = task.fields.get("ends")
        return Text(left_words(ends - time.time()) if ends else "")


def left_words(seconds: float) -> str:
    """How long the rest is thought to take, no finer than that is known."""
    return f"about {span(seconds)} left" if seconds >= 60 else "less than a minute left"


class Display:
    """Says what goes on, on standard error: with a bar on a terminal, a line a step elsewhere."""

    def __init__(self, total: int, done: int) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._total, self._done = total, done
        self._left = ""
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeLeft(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=total, completed=done, ends=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, sentence: str) -> None:
        """What goes on now; on a terminal the next one takes its place."""
        if self._console.is_terminal:
            self._progress.update(self._task, description=sentence)
        else:
            self.note(sentence)

    def note(self, sentence: str) -> None:
        """What is to stay on the screen."""
        clock = time.strftime("%H:%M:%S", time.localtime())
        place = f"[{self._done}/{self._total}{self._left}] " if self._total else ""
        self._console.print(f"{clock} {place}{sentence}", markup=False)

    def expect(self, seconds: float, done: int) -> None:
        """How many runs are done, and how long the others will take."""
        self._done = done
        self._left = f", {left_words(seconds)}" if seconds else ""
        self._progress.update(self._task, completed=done, ends=time.time() + seconds if seconds else None)

    def resize(self, total: int) -> None:
        """How many runs there are."""
        self._total = total
        self._progress.update(self._task, total=total)
