"""Which provider serves which resource: built in, a plugin's process, or one that cannot be asked."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.engine.errors import EngineError, ProviderError
from scripts.engine.providers.absent import AbsentProvider
from scripts.engine.providers.command import CommandProvider
from scripts.engine.providers.contract import Provider
from scripts.engine.providers.plugin import PluginProvider
from scripts.engine.state import ResourceState, provider_urn, urn_type
from scripts.engine.values import contains_unknown

if TYPE_CHECKING:
    from scripts.engine.perform import Surroundings

COMMAND = "command"
_UNKNOWN_YET = "the provider's configuration is not known before the update"


class Providers:
    """The providers of one deployment by the URN of their resources; plugins are started when first needed."""

    def __init__(self, around: Surroundings, engine_address: Callable[[], str]) -> None:
        self._around = around
        self._engine_address = engine_address
        self._lock = threading.Lock()
        self._states: dict[str, ResourceState] = {}
        self._providers: dict[str, Provider] = {}

    def know(self, state: ResourceState) -> None:
        """Take a provider's resource, as it is now."""
        with self._lock:
            self._states[state.urn] = state
            stale = self._providers.pop(state.urn, None)
        if isinstance(stale, PluginProvider):
            stale.close()

    def require(self, package: str, version: str) -> None:
        """EngineError where an update could not go on for want of a plugin."""
        if package != COMMAND and find_plugin(package, version) is None:
            raise EngineError(remedy(package, version))

    def of(self, reference: str) -> Provider:
        """The provider that a resource's reference `URN::ID` names, ready to be asked."""
        urn = provider_urn(reference)
        with self._lock:
            if urn not in self._providers:
                self._providers[urn] = self._start(urn)
            return self._providers[urn]

    def _start(self, urn: str) -> Provider:
        package = urn_type(urn).rpartition(":")[2]
        state = self._states.get(urn)
        inputs = state.inputs if state is not None else {}
        version = str(inputs.get("version") or "")
        program = find_plugin(package, version)
        if program is None:
            return CommandProvider() if package == COMMAND else AbsentProvider(remedy(package, version))
        if contains_unknown(inputs):
            return AbsentProvider(_UNKNOWN_YET)
        started = PluginProvider(program, self._around.root, self._engine_address(), self._around.children)
        try:
            started.configure(urn, inputs)
        except ProviderError as error:
            started.close()
            raise EngineError(f"the provider {package} could not be configured: {error}") from error
        return started

    def close(self) -> None:
        """End the plugins."""
        with self._lock:
            running = [provider for provider in self._providers.values() if isinstance(provider, PluginProvider)]
            self._providers.clear()
        for provider in running:
            provider.close()


def find_plugin(package: str, version: str) -> Path | None:
    """The plugin's program: on PATH, else where the CLI installs it. pulumi-command is built in, so PATH only."""
    program = f"pulumi-resource-{package}"
    on_path = shutil.which(program)
    if on_path is not None:
        return Path(on_path)
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    installed = home / "plugins" / f"resource-{package}-v{version}" / program
    return installed if package != COMMAND and os.access(installed, os.X_OK) else None


def remedy(package: str, version: str) -> str:
    """The sentence on how to get a plugin."""
    named = f"{package} {version}".strip()
    return (
        f"the Pulumi provider {named} is not installed: install it with `pulumi plugin install resource {named}`, "
        f"or put pulumi-resource-{package}, built from its sources, on PATH"
    )
