"""How releases go is read from the config once, and a bad value is refused by its name in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.config_reader import Reader, SettingsError
from components.release_settings import KEYS, ReleaseSettings, read_header, read_release
from components.stages import BACKFILL_ROWS, copy_seconds, slowest_pace

SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "Pulumi.yaml").read_text())["config"]


class NoCalls(pulumi.runtime.Mocks):
    """Settings make no resources and ask nothing."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        raise AssertionError(args.name)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


@pytest.fixture
def reader() -> Callable[..., Reader]:
    """A reader of Pulumi.yaml's defaults with some values changed; None removes one."""
    pulumi.runtime.set_mocks(NoCalls(), project="evenkeel", stack="dev", preview=False)

    def reader_of(**changes: object) -> Reader:
        values = {key: entry["default"] for key, entry in SCHEMA.items()} | changes
        text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
        pulumi.runtime.set_all_config({f"evenkeel:{key}": text[key] for key in values if values[key] is not None})
        return Reader(pulumi.Config("evenkeel"))

    return reader_of


@pytest.fixture
def read(reader: Callable[..., Reader]) -> Callable[..., ReleaseSettings]:
    return lambda **changes: read_release(reader(**changes))


def test_the_defaults_are_blue_and_green_without_a_gate(read: Callable[..., ReleaseSettings]) -> None:
    settings = read()
    assert (settings.strategy, settings.gate, settings.window, settings.notify) == ("bluegreen", "none", "", ())
    assert settings.canary.steps == (5, 25, 50)


def test_a_copy_s_time_is_counted_by_the_pace_that_the_setting_allows(read: Callable[..., ReleaseSettings]) -> None:
    for settings, rows in ((read(), BACKFILL_ROWS), (read(backfillRowsPerSecond=200), 200)):
        plan = settings.plan(["a"], 512, "/ready")
        assert (slowest_pace(plan), copy_seconds(plan, 1_000 * rows)) == (rows, 1_000)


def test_every_key_is_declared(read: Callable[..., ReleaseSettings]) -> None:
    assert set(KEYS) <= set(SCHEMA)


def test_the_plan_is_plain_data_with_all_that_stages_read(read: Callable[..., ReleaseSettings]) -> None:
    plan = read(strategy="rolling", gate="person", canarySteps=[1, 90]).plan(["a", "b"], 512, "/ready")
    assert json.loads(json.dumps(plan)) == plan
    assert (plan["groups"], plan["gate"], plan["app_memory_mb"]) == ([["a"], ["b"]], "person", 512)
    assert plan["canary"]["steps"] == [1, 90]
    assert set(plan) == {
        *("strategy", "groups", "gate", "gate_seconds", "bake_seconds", "canary", "deadman_seconds"),
        *("lock_wait_seconds", "window", "app_memory_mb", "ready_path"),
        *("mirror", "freeze_seconds", "backfill_pace", "backfill_rows"),
    }


def test_values_in_their_bounds_are_taken(read: Callable[..., ReleaseSettings]) -> None:
    urls = ["https://hooks.example.org/a", "http://10.0.0.1:8080/b"]
    settings = read(notify=urls, window="Mon-Thu 09:00-16:30 Europe/Berlin", canaryMaxErrorIncrease="0.005")
    assert settings.notify == tuple(urls)
    assert settings.window == "Mon-Thu 09:00-16:30 Europe/Berlin"
    assert settings.canary.max_error_increase == 0.005


BAD = [
    ({"strategy": "yolo"}, "strategy: 'yolo' is not one of: bluegreen, canary, rolling, halves"),
    ({"freezeSeconds": "4"}, "freezeSeconds: freezeSeconds is 4, outside 5 to 3600"),
    ({"mirror": "magic"}, "mirror: 'magic' is not one of: trigger, scan"),
    ({"backfillPace": "fast"}, "backfillPace: 'fast' is not one of: users, none"),
    ({"backfillRowsPerSecond": 0}, "backfillRowsPerSecond: backfillRowsPerSecond is 0, outside 1 to 1000000"),
    ({"gate": "maybe"}, "gate: 'maybe' is not one of: none, person, time"),
    ({"gateSeconds": 0}, "gateSeconds: gateSeconds is 0, outside 1 to 604800"),
    ({"bakeSeconds": -1}, "bakeSeconds: bakeSeconds is -1, outside 0 to 86400"),
    ({"bakeSeconds": "soon"}, "bakeSeconds: bakeSeconds is 'soon', which is not a whole number"),
    ({"canarySteps": []}, "canarySteps: [] must be one or more rising percentages such as [5, 25, 50]"),
    ({"canarySteps": [25, 5]}, "canarySteps: [25, 5] must be one or more rising percentages"),
    ({"canarySteps": [5, 5]}, "canarySteps: [5, 5] must be one or more rising percentages"),
    ({"canarySteps": [5, 100]}, "canarySteps: a step is 100, outside 1 to 90"),
    ({"canarySteps": [0, 5]}, "canarySteps: a step is 0, outside 1 to 90"),
    ({"canarySteps": [True]}, "canarySteps: a step is True, which is not a whole number"),
    ({"canarySteps": [2.5]}, "canarySteps: a step is 2.5, which is not a whole number"),
    ({"canarySteps": "5, 25"}, "canarySteps: '5, 25' is not a list of percentages such as [5, 25, 50]"),
    ({"canaryBakeSeconds": 0}, "canaryBakeSeconds: canaryBakeSeconds is 0, outside 1 to 86400"),
    ({"canaryMinRequests": 0}, "canaryMinRequests: canaryMinRequests is 0, outside 1 to"),
    ({"canaryMaxErrorIncrease": "1 %"}, "canaryMaxErrorIncrease: '1 %' is not a number"),
    ({"canaryMaxErrorIncrease": 1.5}, "canaryMaxErrorIncrease: is 1.5, outside 0 to 1"),
    ({"canaryMaxErrorIncrease": "nan"}, "canaryMaxErrorIncrease: is nan, outside 0 to 1"),
    ({"canaryMaxLatencyRatio": 0.5}, "canaryMaxLatencyRatio: is 0.5, outside 1 to 100"),
    ({"canaryMaxLatencyRatio": "inf"}, "canaryMaxLatencyRatio: is inf, outside 1 to 100"),
    ({"deadmanSeconds": 9}, "deadmanSeconds: deadmanSeconds is 9, outside 10 to 600"),
    ({"lockWaitSeconds": "1 h"}, "lockWaitSeconds: lockWaitSeconds is '1 h', which is not a whole number"),
    ({"window": "Sundays"}, "window: 'Sundays' is not DAYS HH:MM-HH:MM [ZONE] such as"),
    ({"window": "Mon 09:00-10:00 Mars"}, "window: 'Mars' is not a time zone"),
    ({"notify": "https://a.example"}, "notify: 'https://a.example' is not a list of URLs"),
    ({"notify": ["ftp://a.example"]}, "notify: 'ftp://a.example' is not an http or https URL"),
    ({"notify": ["https:///path"]}, "notify: 'https:///path' is not an http or https URL"),
    ({"notify": [7]}, "notify: 7 is not an http or https URL"),
    ({"notify": ["https://eve:secret@a.example/x"]}, "notify: the URL for a.example has a user or password in it"),
    ({"notify": ["http://[::1/"]}, "notify: 'http://[::1/' is not an http or https URL"),
    ({"gate": None}, "gate: is missing; set it with `pulumi config set gate VALUE`"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_a_bad_value_is_refused_by_name(
    read: Callable[..., ReleaseSettings], changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SettingsError) as error:
        read(**changes)
    assert f"config evenkeel:{sentence}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "header"), [("", ""), ("none", ""), (None, ""), ("X-Evenkeel-Version", "X-Evenkeel-Version")]
)
def test_the_version_header_is_off_unless_it_is_named(
    reader: Callable[..., Reader], value: str | None, header: str
) -> None:
    assert read_header(reader(versionHeader=value)) == header


@pytest.mark.parametrize("value", ["X Version", "-X", "X-Version: 1", "9X", "X-Version\n", "X" * 65])
def test_what_is_no_header_s_name_is_refused(reader: Callable[..., Reader], value: str) -> None:
    with pytest.raises(SettingsError, match=r"config evenkeel:versionHeader: .* is not a header's name"):
        read_header(reader(versionHeader=value))
