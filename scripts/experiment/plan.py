"""What an experiment is asked to do, and the runs that makes, in an order that nobody chose.

A run is one cell of the plan, measured once: a scenario (none, successful, failing, or a control) at a level of load,
released by a strategy. Runs go in blocks: each block has every cell of a level once, in random order, and the levels
take turns, in random order too. What drifts, such as a machine that others use as well, meets all cells alike. The
order comes from a seed, which is kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from scripts.experiment.errors import SettingsError

RELEASES = ("successful", "failing")
EXPECTED = {"successful": "succeeded", "failing": "rolled-back"}  # the journal's word for how each should end
UNCHANGED = "unchanged"  # our word for an update that made no release
CONTROLS = ("aa", "unchanged")
SCENARIOS = ("none", *RELEASES, *CONTROLS)
STRATEGIES = ("bluegreen", "halves", "rolling", "canary")
# The thesis's levels: users (requests on their way at most), requests a second.
LEVELS = {"low": (50, 100), "medium": (260, 260), "high": (500, 300)}
SAMPLE_VERSIONS = ("1.0.0", "2.0.0", "3.0.0")  # three, so that none is still warm in its slot when its turn comes
SAMPLE_FAILING = "9.2.0"  # starts, is ready, and answers every list with 500
REQUESTS = ("mix", "get", "thesis")  # load/targets.py has what they are
MOST_WORKERS = 800  # in flight at once; each is a connection, and the runner has 1,024 or more files
MOST_RATE = 5000
TAIL_SECONDS = 5.0
RELEASE_SECONDS = 60.0  # how long a release is thought to take, until one has been measured
OVERHEAD_SECONDS = 25.0  # and what a run takes beside its load
PAUSE_SECONDS = 3.0
LONGEST_RELEASE = 420.0
KNEE_HELD_SECONDS = 60.0


@dataclass(frozen=True)
class Settings:
    """What is asked for. `levels` are names of LEVELS, of the user's own, «WORKERS/RATE», or «70%» of the knee.

    `seconds` is the measured window of a run; it is longer where a release is not through by then. `requests` is
    one of REQUESTS, or a list as load/targets.py takes it. `check` is the rate of the checker's clients, 0 for none.
    """

    kind: str = "quick"
    scenarios: tuple[str, ...] = ("none", "successful", "failing")
    strategies: tuple[str, ...] = ("bluegreen", "halves")
    levels: tuple[str, ...] = ("low",)
    runs: int = 2
    seconds: float = 30
    warmup: float = 5
    keepalive: bool = False
    knee: bool = True
    knee_seconds: float = 8
    versions: tuple[str, ...] = SAMPLE_VERSIONS
    failing: str | None = SAMPLE_FAILING
    check: int = 0
    service: str | None = None
    requests: str | tuple[Mapping[str, Any], ...] = "mix"
    own_levels: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def as_document(self) -> dict[str, Any]:
        """As experiment.json keeps it."""
        return asdict(self)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Settings:
        """From what experiment.json keeps."""
        lists = ("scenarios", "strategies", "levels", "versions")
        values = dict(document) | {key: tuple(document[key]) for key in lists}
        if not isinstance(values["requests"], str):
            values["requests"] = tuple(values["requests"])
        values["own_levels"] = {name: (level[0], level[1]) for name, level in values["own_levels"].items()}
        return cls(**values)

    @property
    def lead(self) -> float:
        """How many seconds of load go before the release begins."""
        return max(5.0, self.seconds / 10)

    @property
    def knee_held(self) -> float:
        """How many seconds of load the knee must be carried for in the end."""
        return min(self.seconds, KNEE_HELD_SECONDS)

    @property
    def keeps_items(self) -> bool:
        """Whether what loads make stays until the end; in a soak each release meets the stack as the one before did."""
        return self.kind != "soak"


PRESETS = {
    "quick": Settings(),
    "thesis": Settings(
        kind="thesis", levels=("low", "medium", "high"), runs=10, seconds=300, warmup=30, knee_seconds=15,
        strategies=("bluegreen",), requests="thesis",
    ),
    # Its load is a share of what the machine carries: where users stand in line, a release takes minutes.
    "soak": Settings(
        kind="soak", levels=("40%",), runs=60, seconds=20, warmup=0,
        scenarios=("successful",), strategies=("bluegreen",),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Level:
    """So many requests a second, so many on their way at most; whether that is more than the machine carries."""

    name: str
    workers: int
    rate: int
    saturated: bool = False

    @property
    def label(self) -> str:
        """What it is called where people read it; its name is for files."""
        share = self.name.removeprefix("knee")
        return f"{share} % of the knee" if share != self.name and share.isdecimal() else self.name


@dataclass(frozen=True)
class Run:
    """One run of the plan. `strategy` is None where there is no release to make."""

    id: str
    level: str
    scenario: str
    strategy: str | None
    block: int
    order: int


def check_settings(settings: Settings) -> Settings:
    """The settings as they can be run. Raises SettingsError with one sentence for what cannot be."""
    for kind, given, known in (
        ("scenario", settings.scenarios, SCENARIOS),
        ("strategy", settings.strategies, STRATEGIES),
    ):
        for name in given:
            if name not in known:
                raise SettingsError(f"there is no {kind} «{name}»", f"there are {', '.join(known)}")
        if not given:
            raise SettingsError(f"there must be a {kind}", f"there are {', '.join(known)}")
    if not settings.levels:
        raise SettingsError("there must be a level", f"there are {', '.join(LEVELS)}, 70% of the knee, and 50/100")
    for name in settings.levels:
        parse_level(name, settings.own_levels, None)
    if isinstance(settings.requests, str) and settings.requests not in REQUESTS:
        raise SettingsError(f"there are no requests «{settings.requests}»", f"there are {', '.join(REQUESTS)}")
    if settings.runs < 1 or settings.seconds < 5:
        raise SettingsError("there must be one run a cell or more, of 5 s or more")
    if "failing" in settings.scenarios and settings.failing is None:
        raise SettingsError(
            "the scenario «failing» needs a version that fails", "name one as `failing` in the file, or leave it out"
        )
    is_relative = any(name.endswith("%") for name in settings.levels)
    return replace(settings, knee=settings.knee or is_relative)


def parse_level(name: str, own: Mapping[str, tuple[int, int]], knee: float | None) -> Level:
    """The level of a name; a share of a knee that is not known yet has the rate 1."""
    if name in own or name in LEVELS:
        workers, rate = own.get(name) or LEVELS[name]
    elif name.endswith("%") and name[:-1].isdecimal() and 1 <= int(name[:-1]) <= 200:
        rate = max(1, round((knee or 0) * int(name[:-1]) / 100))
        workers = min(max(50, rate), MOST_WORKERS)
        name = f"knee{name[:-1]}"
    elif name.count("/") == 1 and all(part.isdecimal() and int(part) for part in name.split("/")):
        workers, rate = (int(part) for part in name.split("/"))
        if workers > MOST_WORKERS or rate > MOST_RATE:
            raise SettingsError(
                f"the level «{name}» is more than the test runner can do",
                f"give {MOST_WORKERS} requests on their way and {MOST_RATE} a second at most",
            )
        name = f"{workers}x{rate}"
    else:
        known = ", ".join([*own, *LEVELS])
        raise SettingsError(f"there is no level «{name}»", f"there are {known}, 70% of the knee, and 50/100")
    return Level(name, workers, rate, saturated=knee is not None and rate > knee)


def make_levels(settings: Settings, knee: float | None) -> list[Level]:
    """The levels asked for, each once, marked where they are more than the machine carries."""
    found = [parse_level(name, settings.own_levels, knee) for name in settings.levels]
    return list({level.name: level for level in found}.values())


def cells(settings: Settings) -> list[tuple[str, str | None]]:
    """The scenarios, each release by each strategy."""
    return [
        (scenario, strategy)
        for scenario in dict.fromkeys(settings.scenarios)
        for strategy in (dict.fromkeys(settings.strategies) if scenario in RELEASES else (None,))
    ]


def make_runs(settings: Settings, levels: Sequence[Level], seed: int) -> list[Run]:
    """All runs in their order."""
    dice = random.Random(seed)  # noqa: S311 - an order, no secret
    runs: list[Run] = []
    for block in range(1, settings.runs + 1):
        for level in dice.sample(list(levels), len(levels)):
            todo = cells(settings)
            for scenario, strategy in dice.sample(todo, len(todo)):
                order = len(runs) + 1
                name = "-".join(part for part in (f"{order:03d}", level.name, scenario, strategy, str(block)) if part)
                runs.append(Run(name, level.name, scenario, strategy, block, order))
    return runs


def ends_otherwise(scenario: str, verdict: str | None, status: int | None = None) -> bool:
    """Whether what `pulumi up` came to is not what the scenario has; no verdict is none that was wanted.

    `status` is the one that it ended with, None where that is not known: 0 where nothing had to be rolled back.
    """
    wanted = {**EXPECTED, "unchanged": UNCHANGED}.get(scenario)
    if wanted is None:
        return False
    return verdict != wanted or (status is not None and (status == 0) == (scenario == "failing"))


def next_version(versions: Sequence[str], live: str) -> str:
    """The version whose turn it is; the first one where what is live is none of them."""
    return versions[(versions.index(live) + 1) % len(versions)] if live in versions else versions[0]


def estimate(
    run: Run, settings: Settings, release: float = RELEASE_SECONDS, overhead: float = OVERHEAD_SECONDS
) -> float:
    """How many seconds a run will take."""
    window = settings.seconds
    if run.scenario in RELEASES:
        window = max(window, settings.lead + release + TAIL_SECONDS)
    return window + settings.warmup + overhead + PAUSE_SECONDS
