"""The state as it is after a loss, for `pulumi stack import`: what is gone is not in it, and is simply made.

Neither `--replace` nor a replacement does that: a lost disk is made under the name, and so with the id, of the old one,
and the deletion of the old one that follows would take the new file.
"""

from collections.abc import Collection, Mapping
from typing import Any


def without(export: Mapping[str, Any], urns: Collection[str]) -> dict[str, Any]:
    """The export without these resources; what depended on them depends on them no more."""
    resources = [
        _forgetting(entry, urns)
        for entry in export["deployment"]["resources"]
        if entry["urn"] not in urns or entry.get("delete")
    ]
    return {**export, "deployment": {**export["deployment"], "resources": resources}}


def bared(export: Mapping[str, Any], bare: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """The export with machines that have not the disks of some properties: so these differ from what is wanted."""
    resources = []
    for entry in export["deployment"]["resources"]:
        missing = {} if entry.get("delete") else bare.get(entry["urn"], {})
        shorter = {
            part: {key: value for key, value in entry[part].items() if key not in missing}
            for part in ("inputs", "outputs")
            if missing and part in entry
        }
        resources.append({**entry, **shorter})
    return {**export, "deployment": {**export["deployment"], "resources": resources}}


def _forgetting(entry: Mapping[str, Any], urns: Collection[str]) -> dict[str, Any]:
    changed = dict(entry)
    if "dependencies" in entry:
        changed["dependencies"] = [urn for urn in entry["dependencies"] or [] if urn not in urns]
    if "propertyDependencies" in entry:
        found = entry["propertyDependencies"] or {}
        changed["propertyDependencies"] = {
            key: [urn for urn in needed or [] if urn not in urns] for key, needed in found.items()
        }
    return changed
