"""Times as people read them. All of them are UTC, as the control host's clock has it."""

from __future__ import annotations

import time

DAY = 86_400


def clock_time(at: float, now: float) -> str:
    """A time of day; with its date when it is not today."""
    same_day = int(at // DAY) == int(now // DAY)
    return time.strftime("%H:%M:%S UTC" if same_day else "%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def span(seconds: float) -> str:
    """A duration: «1.2 s», «3 min 5 s», «2 h 10 min»."""
    if seconds < 60:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
