"""Release windows: when a release may start, such as "Mon-Thu 09:00-16:30 Europe/Berlin". Pure, no Pulumi."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FORM = re.compile(r"^(?P<days>[A-Za-z,-]+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?: (?P<zone>[A-Za-z0-9_+/-]+))?$")


class WindowError(ValueError):
    """A window that cannot be understood; the message is one sentence."""


@dataclass(frozen=True)
class Window:
    """Days of the week (0 is Monday), a time of day from `start` up to but not including `end`, and a zone."""

    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo

    def contains(self, moment: datetime) -> bool:
        """Tell whether a moment (with a time zone) is inside; a window over midnight belongs to the day it begins."""
        local = moment.astimezone(self.zone)
        clock = local.time().replace(tzinfo=None)
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= clock < self.end
        if clock >= self.start:
            return local.weekday() in self.days
        return clock < self.end and (local.weekday() - 1) % 7 in self.days


def parse_window(text: str) -> Window | None:
    """Return the window that `text` describes, None for "" (always); raises WindowError."""
    if not text:
        return None
    match = FORM.fullmatch(text)
    if not match:
        raise WindowError(f"{text!r} is not DAYS HH:MM-HH:MM [ZONE] such as Mon-Thu 09:00-16:30 Europe/Berlin")
    try:
        zone = ZoneInfo(match["zone"] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones in the package tzdata
        raise WindowError(f"{match['zone']!r} is not a time zone such as UTC or Europe/Berlin") from None
    start, end = parse_time(match["start"]), parse_time(match["end"])
    if start == end:
        raise WindowError(f"{text!r} begins and ends at the same time")
    return Window(parse_days(match["days"]), start, end, zone)


def parse_time(text: str) -> time:
    """Return HH:MM as a time of day."""
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise WindowError(f"{text!r} is not a time of day such as 09:00") from None


def parse_days(text: str) -> frozenset[int]:
    """Return days such as "Mon-Thu" or "Mon,Wed,Sat-Sun" as numbers, Monday 0."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        except ValueError:
            raise WindowError(f"{part!r} is not a day or a span of days of {', '.join(DAYS)}") from None
        found |= {(begin + offset) % 7 for offset in range((end - begin) % 7 + 1)}
    return frozenset(found)
