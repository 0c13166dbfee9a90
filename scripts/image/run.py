"""Running the build's outside programs: output to a log, death with the parent, failure as one sentence."""

import os
import shutil
import subprocess
from pathlib import Path

from scripts.image.errors import ImageError
from scripts.image.progress import last_line


def run_logged(
    arguments: list[str],
    log: Path,
    what: str,
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: str = "",
) -> None:
    """Run a program with its output appended to `log`; `what` names it in the error."""
    with log.open("ab") as output:
        result = subprocess.run(
            [*_die_with_parent(), *arguments],
            input=stdin.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            check=False,
        )
    if result.returncode != 0:
        raise ImageError(f"{what} failed ({last_line(log) or 'no output'}): see {log}, then run the same again.")


def need(program: str, package: str) -> None:
    """Refuse to start without a program."""
    if shutil.which(program) is None:
        raise ImageError(f"The program {program} is missing: run scripts/bootstrap, or install the package {package}.")


def need_root(what: str) -> None:
    """Refuse to start as anybody else; `what` is made."""
    if os.geteuid() != 0:
        raise ImageError(f"Making {what} needs root: run the same with sudo.")


def _die_with_parent() -> list[str]:
    """A prefix that ends the program when we are killed, so that a killed build leaves nothing running."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
