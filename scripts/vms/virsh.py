"""The one place that runs virsh. Reading (list, facts) apart from changing (everything else)."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from urllib.parse import urlsplit

from scripts.vms.errors import VmError

SECONDS = 120.0
NO_ANSWER = "no answer within"
SILENT = ("no such file", "connection refused", "cannot connect to socket", "failed to connect socket")
# The system bus is where polkit is asked, about everyone but root.
FORBIDDEN = (
    *("permission denied", "authentication unavailable", "authentication failed", "access denied", "polkit"),
    "system bus connection",
)


def run_virsh(uri: str, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run virsh at a hypervisor and return what came of it; a hypervisor that hangs is a failure like another."""
    if shutil.which("virsh") is None:
        raise VmError("virsh is missing: run `make vms`, which installs it, or install the package libvirt-clients.")
    command = ["virsh", "--connect", silent(uri), "--quiet", *arguments]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(
            command,
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"error: {NO_ANSWER} {SECONDS:.0f} s")


def virsh(uri: str, *arguments: str, what: str, stdin: str | None = None) -> str:
    """Run virsh; a failure becomes one sentence that starts with `what`."""
    result = run_virsh(uri, *arguments, stdin=stdin)
    if result.returncode != 0:
        raise VmError(f"{what} at {uri} failed: {reason(result)}.")
    return str(result.stdout)


def require(uri: str) -> None:
    """VmError, with what to do, unless the hypervisor answers."""
    answer = run_virsh(uri, "version")
    if answer.returncode != 0:
        raise unreachable(uri, answer.stderr)


def answers(uri: str) -> bool:
    """Whether the hypervisor answers."""
    return run_virsh(uri, "version").returncode == 0


def lines(uri: str, *arguments: str, what: str) -> list[str]:
    """What virsh lists, a line an entry."""
    return [line.strip() for line in virsh(uri, *arguments, what=what).splitlines() if line.strip()]


def numbers(report: Iterable[str]) -> dict[str, int]:
    """The `name: number` lines of a report; units after the number are left to who knows them."""
    found = {}
    for line in report:
        key, colon, rest = line.partition(":")
        words = rest.split()
        if colon and words and words[0].isdecimal():
            found[key.strip()] = int(words[0])
    return found


def reason(result: subprocess.CompletedProcess[str]) -> str:
    """The last thing that virsh complained of, without its prefix and full stop."""
    said = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    return said[-1].removeprefix("error: ").rstrip(". ") if said else f"exit code {result.returncode}"


def silent(uri: str) -> str:
    """The URI with SSH kept from asking a person."""
    parts = urlsplit(uri)
    if not parts.hostname or "no_tty" in parts.query:
        return uri
    return f"{uri}{'&' if parts.query else '?'}no_tty=1"


def is_local(uri: str) -> bool:
    """Whether the hypervisor is this machine's."""
    return not urlsplit(uri).hostname


def unreachable(uri: str, complaint: str) -> VmError:
    """The sentence for a hypervisor that cannot be used, by what virsh complained of."""
    words = " ".join(complaint.split())
    said = words.lower()
    last = words.rpartition("error: ")[2].rstrip(". ")
    if is_local(uri):
        # First: a socket that is there and may not be used is told of in both words.
        if any(part in said for part in FORBIDDEN):
            return VmError(f"This user may not use {uri}: run the same with sudo, or join the group libvirt.")
        if any(part in said for part in SILENT):
            return VmError(
                f"libvirt is not running on this machine ({uri}): start it with `systemctl start libvirtd`, without"
                " systemd with `virtlogd -d; libvirtd -d`, or install the package libvirt-daemon-system."
            )
        if NO_ANSWER in said:
            return VmError(
                f"libvirt runs on this machine ({uri}) and does not answer within {SECONDS:.0f} s: look at its log"
                " (`journalctl -u libvirtd`) and start it again; where /dev/kvm is there and does not work it may hang"
                " on that: `pulumi config set libvirtDomainType qemu`."
            )
    login = "" if is_local(uri) else ", with the host's key in known_hosts and a login by SSH key"
    return VmError(
        f"There is no access to {uri} ({last or 'no answer'}): make `virsh -c {uri} version` work{login}, then run the"
        " same again."
    )
