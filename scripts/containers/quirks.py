"""What this machine's container runtime needs to start a systemd container: found out by trying, once a boot.

An ordinary machine needs nothing. Known exceptions: a runtime that refuses hybrid cgroups (crun), and a machine
without CAP_SYS_RESOURCE, where no limit may be raised above what the starting process has.
"""

import json
import resource
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.containers.errors import ContainerError
from scripts.containers.podman import reason, run_podman
from scripts.containers.weight import group_for

CACHE = Path(__file__).resolve().parents[2] / ".evenkeel" / "cache"
# SYS_NICE: what yields to users while it starts must be let out of that again (scripts/host/evenkeel_yield.py).
CAPABILITIES = "SYS_ADMIN,NET_ADMIN,NET_RAW,SYS_NICE"
RUNTIMES = ("", "crun", "runc")
# What systemd does for every sandboxed service.
TRIAL = ("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt")
# The kernel lets a limit be passed on only up to the starter's own; some lower still, for reasons they keep to
# themselves, hence a second and a third step.
NOFILE_STEPS = (1_048_576, 65_536, 4096)
NPROC_STEPS = (65_536, 32_768, 4096)


@dataclass(frozen=True)
class Runtime:
    """How to start containers here.

    `runtime` is empty for podman's default, `ulimits` for none of our own, `group` where hosts get no cgroup of theirs.
    """

    runtime: str
    ulimits: tuple[str, ...]
    group: str = ""

    def global_arguments(self) -> list[str]:
        """What goes between `podman` and its verb."""
        return ["--runtime", self.runtime] if self.runtime else []

    def create_arguments(self) -> list[str]:
        """What goes behind `create` or `run`."""
        limits = [argument for limit in self.ulimits for argument in ("--ulimit", limit)]
        group = ["--cgroup-parent", self.group] if self.group else []
        return ["--systemd=always", "--cap-add", CAPABILITIES, *group, *limits, *confinement()]

    def quirks(self) -> list[str]:
        """What is not ordinary here, in words."""
        words = [f"runtime {self.runtime}"] if self.runtime else []
        words += [f"ulimit {limit}" for limit in self.ulimits]
        return words if self.group else [*words, "no weight of their own"]


def find_runtime(image: str, cache: Path = CACHE) -> Runtime:
    """The first way that starts a container of `image` with our capabilities and limits; remembered until reboot."""
    remembered = cache / f"runtime-{_boot_id()}.json"
    if remembered.exists():
        found = json.loads(remembered.read_text())
        if "group" in found:  # not by an Evenkeel that knew of none
            return Runtime(found["runtime"], tuple(found["ulimits"]), found["group"])
    complaints: list[str] = []
    group = group_for(run_podman("info", "--format", "{{.Host.CgroupManager}}").stdout.decode().strip())
    for candidate in candidates(_hard(resource.RLIMIT_NOFILE), _hard(resource.RLIMIT_NPROC), group):
        complaint = _try(candidate, image)
        if complaint is None:
            _remember(candidate, remembered)
            return candidate
        complaints.append(complaint)
    raise ContainerError(f"podman cannot start a systemd container on this machine: {complaints[-1]}.")


def candidates(hard_nofile: int, hard_nproc: int, group: str = "") -> Iterator[Runtime]:
    """Ways to try, the ordinary first. The arguments are this process's hard limits, and the hosts' cgroup."""
    for parent in (group, "") if group else ("",):
        for runtime in RUNTIMES:
            if runtime and shutil.which(runtime) is None:
                continue
            yield Runtime(runtime, (), parent)
            for nofile, nproc in zip(NOFILE_STEPS, NPROC_STEPS, strict=True):
                files, processes = min(nofile, hard_nofile), min(nproc, hard_nproc)
                yield Runtime(runtime, (f"nofile={files}:{files}", f"nproc={processes}:{processes}"), parent)


def confinement(sysfs: Path = Path("/sys")) -> list[str]:
    """Options against profiles, made for single programs, that forbid systemd its own sandboxes for services."""
    options = []
    apparmor = sysfs / "module" / "apparmor" / "parameters" / "enabled"
    if apparmor.exists() and apparmor.read_text().startswith("Y"):
        options += ["--security-opt", "apparmor=unconfined"]
    if (sysfs / "fs" / "selinux" / "enforce").exists():
        options += ["--security-opt", "label=disable"]
    return options


def _try(candidate: Runtime, image: str) -> str | None:
    """None when it works, else podman's complaint."""
    sizes = ["--cpus", "0.5", "--memory", "64m", "--memory-swap", "64m", "--network", "none"]
    command = [*candidate.global_arguments(), "run", "--rm", "--pull=never", *candidate.create_arguments(), *sizes]
    result = run_podman(*command, image, *TRIAL)
    return None if result.returncode == 0 else reason(result)


def _remember(found: Runtime, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("runtime-*.json"):
        old.unlink(missing_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(found)))
    partial.rename(path)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _hard(limit: int) -> int:
    hard = resource.getrlimit(limit)[1]
    return 1 << 30 if hard == resource.RLIM_INFINITY else hard
