"""Hosts that the state has and podman has not: removed by hand, or with podman's storage.

Pulumi's commands are not asked whether what they made still exists, so nothing else would notice.
"""

import json
from dataclasses import dataclass
from typing import Any

from scripts.make.steps import PULUMI, module, quiet

CREATE = "scripts.containers machine create"
SUFFIX = "-machine"


@dataclass(frozen=True)
class Machine:
    """A host as the state has it."""

    name: str
    urn: str


def find_lost_machines(stack: str) -> list[Machine]:
    """The state's hosts without a container; none when either cannot be asked."""
    exported = quiet((PULUMI, "stack", "export", "--stack", stack))
    listed = quiet(module("containers", "list", "--json", "--stack", stack))
    if exported.returncode != 0 or listed.returncode != 0:
        return []
    present = {machine["name"] for machine in json.loads(listed.stdout)}
    return [machine for machine in machines_of(json.loads(exported.stdout)) if machine.name not in present]


def machines_of(state: dict[str, Any]) -> list[Machine]:
    """The hosts in an exported state that are containers."""
    resources = (state.get("deployment") or {}).get("resources") or []
    urns = [str(entry["urn"]) for entry in resources if CREATE in str(entry.get("inputs", {}).get("create"))]
    return [Machine(urn.rpartition("::")[2].removesuffix(SUFFIX), urn) for urn in urns]
