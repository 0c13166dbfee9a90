"""What the hosts weigh on this machine when its processors are short: together more than one process beside them.

Linux shares processors between groups before it shares them within one, and podman puts all containers into one group
that weighs no more than a single process beside it (cgroups(7), sched-design-CFS in the kernel's documentation). The
deployer's own work would then take half of this machine away from the users that all hosts together serve. So the
hosts have a group of their own that weighs more. How much more, docs/experiment.md has measured: at 70 % of what a
machine carries, requests during a release took half as long with 16 times the weight as with 4 times, and the release
took as long. The deployer gets on beside hosts that fill the machine, slowly: a release then took four minutes.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
GROUP, SLICE = "evenkeel", "evenkeel.slice"
# The same 16 times the ordinary, in the unit of cgroup 2 and of systemd, and in that of cgroup 1.
WEIGHT, SHARES = 1600, 16 * 1024


def group_for(manager: str) -> str:
    """Return what to call the hosts' group for podman's `cgroupManager`; empty for one that is not known."""
    return {"cgroupfs": f"/{GROUP}", "systemd": SLICE}.get(manager, "")


def weigh(cgroups: Path = CGROUPS) -> None:
    """Give the hosts' group its weight, when there is one. What stands in the way is said, and stops nobody."""
    try:
        for file, value in ((cgroups / "cpu" / GROUP / "cpu.shares", SHARES), (cgroups / GROUP / "cpu.weight", WEIGHT)):
            if file.exists():
                file.write_text(str(value))
        if any((place / SLICE).exists() for place in (cgroups, cgroups / "cpu")):
            command = ["systemctl", "set-property", "--runtime", SLICE, f"CPUWeight={WEIGHT}"]
            subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        print(f"The hosts weigh no more than one process beside them on this machine: {said}.", file=sys.stderr)


def remove_group(cgroups: Path = CGROUPS) -> None:
    """Remove the empty groups that podman leaves; one in use stays, as the kernel has it."""
    for group in (cgroups / GROUP, *cgroups.glob(f"*/{GROUP}")):
        for part in (*group.glob("*/"), group):
            with suppress(OSError):
                part.rmdir()
