"""A release window says when releases may start, in its own zone; what cannot be understood is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from components.window import WindowError, parse_window

WEEK = {day: 4 + number for number, day in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))}  # January 2027


def at(text: str) -> datetime:
    """A moment such as «Mon 09:00», UTC."""
    day, _, clock = text.partition(" ")
    return datetime.fromisoformat(f"2027-01-{WEEK[day]:02}T{clock}").replace(tzinfo=UTC)


def test_no_window_is_always_open() -> None:
    assert parse_window("") is None


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        ("Mon-Thu 09:00-16:30", "Mon 09:00", True),
        ("Mon-Thu 09:00-16:30", "Mon 08:59:59.999999", False),
        ("Mon-Thu 09:00-16:30", "Thu 16:29:59", True),
        ("Mon-Thu 09:00-16:30", "Thu 16:30", False),
        ("Mon-Thu 09:00-16:30", "Fri 12:00", False),
        ("Mon,Wed 09:00-16:30", "Tue 12:00", False),
        ("Mon,Wed 09:00-16:30", "Wed 12:00", True),
        ("Mon,Sat-Sun 09:00-16:30", "Sun 12:00", True),
        ("Sat-Mon 09:00-16:30", "Sun 12:00", True),
        ("Sat-Mon 09:00-16:30", "Mon 12:00", True),
        ("Sat-Mon 09:00-16:30", "Tue 12:00", False),
        ("Mon-Sun 00:00-12:00", "Sun 00:00", True),
        # Winter in Berlin is one hour ahead.
        ("Mon-Thu 09:00-16:30 Europe/Berlin", "Mon 08:00", True),
        ("Mon-Thu 09:00-16:30 Europe/Berlin", "Mon 15:30", False),
        ("Mon 00:00-01:00 Europe/Berlin", "Sun 23:30", True),
        # Over midnight, the window belongs to the day on which it begins.
        ("Fri 22:00-02:00", "Fri 21:59", False),
        ("Fri 22:00-02:00", "Fri 23:00", True),
        ("Fri 22:00-02:00", "Sat 01:59", True),
        ("Fri 22:00-02:00", "Sat 02:00", False),
        ("Fri 22:00-02:00", "Fri 01:00", False),
        ("Fri 22:00-02:00", "Sat 23:00", False),
        ("Sun 22:00-02:00", "Mon 01:00", True),
        ("Mon 22:00-00:00", "Mon 23:59", True),
        ("Mon 22:00-00:00", "Tue 00:00", False),
    ],
)
def test_a_window_is_open_from_its_start_up_to_its_end(window: str, moment: str, is_open: bool) -> None:
    found = parse_window(window)
    assert found is not None
    assert found.contains(at(moment)) is is_open


@pytest.mark.parametrize(("moment", "is_open"), [("2027-07-05T07:30", True), ("2027-01-04T07:30", False)])
def test_a_window_follows_its_zone_s_summer_time(moment: str, is_open: bool) -> None:
    found = parse_window("Mon 09:00-10:00 Europe/Berlin")
    assert found is not None
    assert found.contains(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is is_open


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        ("always", "'always' is not DAYS HH:MM-HH:MM [ZONE] such as"),
        ("Mon-Thu", "'Mon-Thu' is not DAYS"),
        ("Mon-Thu 9:00-16:30", "'Mon-Thu 9:00-16:30' is not DAYS"),
        ("Mon-Thu 09:00-16:30 Europe/Berlin now", "is not DAYS"),
        ("Mon-Thu 09:00-16:30\n", "is not DAYS"),
        ("Mon- 09:00-16:30", "'Mon-' is not a day"),
        ("Mon-Thu 25:00-26:00", "'25:00' is not a time of day such as 09:00"),
        ("Mon-Thu 09:00-09:61", "'09:61' is not a time of day such as 09:00"),
        ("Mon-Thu 09:00-09:00", "'Mon-Thu 09:00-09:00' begins and ends at the same time"),
        ("Mo-Th 09:00-16:30", "'Mo-Th' is not a day or a span of days of Mon, Tue"),
        ("mon 09:00-16:30", "'mon' is not a day"),
        ("-Mon 09:00-16:30", "'-Mon' is not a day"),
        ("Mon,,Tue 09:00-16:30", "'' is not a day"),
        ("Mon-Tue-Wed 09:00-16:30", "'Mon-Tue-Wed' is not a day"),
        ("Mon 09:00-16:30 Europe/Bonn", "'Europe/Bonn' is not a time zone such as UTC or Europe/Berlin"),
        ("Mon 09:00-16:30 Europe", "'Europe' is not a time zone"),
        ("Mon 09:00-16:30 /etc/passwd", "'/etc/passwd' is not a time zone"),
    ],
)
def test_what_is_no_window_is_refused_in_a_sentence(window: str, sentence: str) -> None:
    with pytest.raises(WindowError) as error:
        parse_window(window)
    assert sentence in str(error.value)
