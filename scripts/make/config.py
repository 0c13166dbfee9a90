"""The few config values that are needed before the Pulumi program runs.

`python -m scripts.make.config STACK`: whether any of the stack's virtual machines runs here, as exit code, and the
directory in which its disks are then, if it is one, on standard output.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OUTSIDE_SITES = ("ns-1", "ns-2", "control", "runner")


@dataclass(frozen=True)
class StackConfig:
    """A stack's name, the application version it wants, whether that is our own sample's, and where its hosts are.

    `uris` are the hypervisors of a stack of virtual machines, `pool` is their existing storage pool or a directory.
    """

    stack: str
    version: str
    sample: bool
    substrate: str
    uris: tuple[str, ...]
    pool: str = ""

    @property
    def is_local(self) -> bool:
        """Whether this machine is one of the hypervisors."""
        return any(":///" in uri for uri in self.uris)


def read_config(root: Path, stack: str) -> StackConfig:
    """Read a stack's file over the project's defaults. Judging the values is the program's business, not ours."""
    defaults = {key: entry.get("default") for key, entry in _mapping(root / "Pulumi.yaml", "config").items()}
    chosen = {
        key.removeprefix("evenkeel:"): value for key, value in _mapping(root / f"Pulumi.{stack}.yaml", "config").items()
    }
    merged = defaults | chosen
    found = merged.get("libvirtUris")
    single = found if isinstance(found, dict) else {}
    general = [] if _all_have_their_own(merged.get("sites"), single) else [merged.get("libvirtUri")]
    uris = [*general, *single.values()]
    return StackConfig(
        stack=stack,
        version=str(merged.get("version")),
        sample=merged.get("artifact") == defaults.get("artifact"),
        substrate=str(merged.get("substrate")),
        uris=tuple(dict.fromkeys(str(uri) for uri in uris)),
        pool=str(merged.get("libvirtPool") or ""),
    )


def _all_have_their_own(sites: object, single: dict[str, Any]) -> bool:
    """Whether no host is left for the general hypervisor: one that nobody uses need not be there."""
    names = [str(site).partition(":")[0] for site in sites] if isinstance(sites, list) else []
    return bool(names) and {*names, *OUTSIDE_SITES} <= set(single)


def _mapping(path: Path, key: str) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = yaml.safe_load(path.read_text()) or {}
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def main(root: Path, stack: str) -> int:
    """Print where the disks are on this machine; 1 where there will be none."""
    config = read_config(root, stack)
    if config.is_local and config.pool.startswith("/"):
        print(config.pool.rstrip("/"))
    return 0 if config.is_local else 1


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2], sys.argv[1]))
