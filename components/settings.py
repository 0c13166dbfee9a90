"""The stack's config as frozen dataclasses; every bad value is refused here, by name.

This is the only place that reads Pulumi's config. `load()` is called once, by `__main__`. The keys, their types
and their defaults are declared in Pulumi.yaml; the texts there are the reference for users.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pulumi

from components.addressing import AddressingError, place_hosts
from components.artifact import Artifact, ArtifactError, read_artifact
from components.config_reader import Reader
from components.libvirt_settings import KEYS as LIBVIRT_KEYS
from components.libvirt_settings import LibvirtSettings, read_libvirt
from components.release_settings import KEYS as RELEASE_KEYS
from components.release_settings import ReleaseSettings, read_header, read_release

NAME = re.compile(r"^[a-z][a-z0-9]{0,15}$")
ZONE = re.compile(r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$")
LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
VERSION = re.compile(r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$")
READY_PATH = re.compile(r"^/[!-~]*$")
SUBSTRATES = ("containers", "libvirt")
PUBLISHING = ("containers",)  # those whose hosts can have a port of the deployer's machine
ROLES = ("lb", "app", "db", "ns", "control", "runner")
USUAL_PATIENCE_SECONDS = 300  # what programs that reach the database know without being told
ANSWER_MS = 2500  # so long the sample waits for any answer of the database, without being told
RESERVED = (*ROLES, "base")
KEYS = (
    *("substrate", "version", "artifact", "sites", "network", "addresses", "sizes", "slowness", "publish"),
    *("zone", "service", "ttl", "maxConnections", "checkIntervalMs", "requestTimeoutMs", "readyPath", "versionHeader"),
    *(
        "replicationFactor",
        "datacenter",
        "keyspace",
        "databaseHeapMb",
        "databaseDirectMb",
        "databaseJoinSeconds",
        "seedRows",
    ),
    *LIBVIRT_KEYS,
    *RELEASE_KEYS,
)


@dataclass(frozen=True)
class SiteSettings:
    """One failure domain: its name, and the number that fixes its hosts' addresses."""

    name: str
    number: int


@dataclass(frozen=True)
class Size:
    """What one host gets: virtual CPUs (a fraction is allowed) and memory in MiB."""

    vcpus: float
    memory_mb: int


@dataclass(frozen=True)
class LoadBalancerSettings:
    """HAProxy's limits and time-outs, the latter in milliseconds; what it asks, and the header that picks a version."""

    max_connections: int
    check_interval_ms: int
    request_timeout_ms: int
    ready_path: str
    version_header: str


@dataclass(frozen=True)
class DatabaseSettings:
    """Cassandra's names and sizes, heap and direct memory in MiB; how long a node may take to be in the ring."""

    datacenter: str
    keyspace: str
    replication_factor: int
    heap_mb: int
    direct_mb: int
    join_seconds: int
    seed_rows: int

    @property
    def patience_seconds(self) -> int:
        """How long programs wait for the ring: as long as a node may take to join it, and five minutes at least."""
        return max(USUAL_PATIENCE_SECONDS, self.join_seconds)


@dataclass(frozen=True)
class NameServiceSettings:
    """The zone, the service's name in it, and its records' time to live in seconds."""

    zone: str
    service: str
    ttl: int

    @property
    def service_name(self) -> str:
        """The name that users resolve, such as test.evenkeel.test."""
        return f"{self.service}.{self.zone}"


@dataclass(frozen=True)
class Settings:
    """Everything that the stack's config says, checked. `slowness`: how many times longer than usual hosts may take."""

    stack: str
    substrate: str
    libvirt: LibvirtSettings
    artifact: Artifact
    sites: tuple[SiteSettings, ...]
    network: IPv4Network
    addresses: Mapping[str, IPv4Address]
    sizes: Mapping[str, Size]
    slowness: int
    publish: str
    names: NameServiceSettings
    load_balancer: LoadBalancerSettings
    database: DatabaseSettings
    release: ReleaseSettings

    @property
    def prefix(self) -> str:
        """What the names of all of this stack's parts on the machine start with."""
        return f"evenkeel-{self.stack}"

    @property
    def slow(self) -> dict[str, int]:
        """What a document says of slow hosts; nothing at all where they are not, so that nothing changes there."""
        return {"slowness": self.slowness} if self.slowness > 1 else {}

    @property
    def answer_slowness(self) -> int:
        """How many times longer than usual the database may take over an answer.

        As long as two tries, and as much again for all else, fit into what a request may take.
        """
        return max(1, min(self.slowness, self.load_balancer.request_timeout_ms // (3 * ANSWER_MS)))

    @property
    def name_servers(self) -> tuple[IPv4Address, ...]:
        """Addresses of the primary and the secondary name server."""
        return self.addresses["ns-1"], self.addresses["ns-2"]

    def address_of(self, role: str, site: SiteSettings) -> IPv4Address:
        """Return the address of a site's host of the given role."""
        return self.addresses[f"{role}-{site.name}"]


def load(root: Path) -> Settings:
    """Read and check the whole config of the current stack.

    `root` is the project's directory, against which artifact paths are taken. Raises SettingsError, which names the
    key, says what was wrong and what to do.
    """
    reader = Reader(pulumi.Config())
    reader.refuse_unknown(KEYS)
    sites = read_sites(reader)
    names = read_names(reader)
    network = read_network(reader)
    addresses = read_addresses(reader, network, sites)
    substrate = reader.one_of("substrate", SUBSTRATES)
    slowness = reader.whole("slowness", 1, 60)
    return Settings(
        stack=pulumi.get_stack(),
        substrate=substrate,
        libvirt=read_libvirt(reader, {host: site_of(host, sites) for host in addresses}, network),
        artifact=load_artifact(reader, root),
        sites=sites,
        network=network,
        addresses=addresses,
        sizes=read_sizes(reader),
        slowness=slowness,
        publish=read_publish(reader, substrate),
        names=names,
        load_balancer=read_load_balancer(reader),
        database=read_database(reader, len(sites)),
        release=read_release(reader, slowness),
    )


def read_sites(reader: Reader) -> tuple[SiteSettings, ...]:
    """Return the sites in their order, at least two, names and numbers unique."""
    entries = reader.structure("sites", list, "a list of sites such as [a, b, c, d]", None)
    if entries is None:
        raise reader.refuse("sites", "is missing; list two or more sites, such as [a, b, c, d]")
    sites = tuple(read_site(reader, entry) for entry in entries)
    if len(sites) < 2:
        raise reader.refuse("sites", f"names {len(sites)} site(s); zero downtime needs at least two")
    for field in ("name", "number"):
        seen = [getattr(site, field) for site in sites]
        for value in seen:
            if seen.count(value) > 1:
                raise reader.refuse("sites", f"{field} {value} is used by more than one site; make it unique")
    return sites


def read_site(reader: Reader, entry: object) -> SiteSettings:
    """Return one site, written as a letter (its number is its place in the alphabet) or as name:number."""
    text = str(entry)
    if re.match(r"^[a-z]$", text):
        return SiteSettings(text, ord(text) - ord("a") + 1)
    name, colon, number = text.partition(":")
    if not colon:
        raise reader.refuse("sites", f"{entry!r} is neither a letter a to z nor name:number such as paris:7")
    if not NAME.match(name):
        raise reader.refuse("sites", f"the site name {name!r} is not 1 to 16 lower-case letters and digits")
    if name in RESERVED:
        raise reader.refuse("sites", f"the site name {name!r} is kept for hosts and disks; take another")
    return SiteSettings(name, reader.check_whole("sites", f"the number of site {name}", number, 1, 50))


def site_of(host: str, sites: tuple[SiteSettings, ...]) -> str | None:
    """Return the site that a host's name says, None for a host outside sites."""
    site = host.partition("-")[2]
    return site if site in {each.name for each in sites} else None


def read_network(reader: Reader) -> IPv4Network:
    """Return the hosts' network, large enough for them."""
    value = reader.text("network")
    try:
        network = IPv4Network(value)
    except ValueError as error:
        raise reader.refuse("network", f"{value!r} is not an IPv4 network such as 10.77.0.0/24: {error}") from None
    if network.prefixlen > 24 or network.prefixlen < 8:
        raise reader.refuse("network", f"{value} must be between a /8 and a /24, to have room for all hosts")
    return network


def read_addresses(reader: Reader, network: IPv4Network, sites: tuple[SiteSettings, ...]) -> Mapping[str, IPv4Address]:
    """Return every host's address: its place in the network, unless the config says otherwise."""
    wanted = reader.structure("addresses", dict, "a map of host to address such as {lb-a: 10.77.0.99}", {})
    try:
        return place_hosts(network, {site.name: site.number for site in sites}, wanted)
    except AddressingError as error:
        raise reader.refuse("addresses", str(error)) from None


def read_sizes(reader: Reader) -> Mapping[str, Size]:
    """Return each role's size: DESIGN's table, with the config's changes over it."""
    sizes = {
        "lb": Size(1, 256), "app": Size(1, 256), "db": Size(1, 1024),
        "ns": Size(1, 256), "control": Size(1, 512), "runner": Size(2, 1024),
    }  # fmt: skip
    wanted = reader.structure("sizes", dict, "a map of role to size such as {db: {vcpus: 2, memoryMb: 2048}}", {})
    for role, change in wanted.items():
        if role not in sizes:
            raise reader.refuse("sizes", f"names the role {role!r}; the roles are {', '.join(ROLES)}")
        sizes[role] = read_size(reader, role, change, sizes[role])
    return sizes


def read_size(reader: Reader, role: str, change: object, size: Size) -> Size:
    """Return `size` with one role's changes applied."""
    if not isinstance(change, dict) or not set(change) <= {"vcpus", "memoryMb"}:
        raise reader.refuse("sizes", f"the size of {role} may have vcpus and memoryMb, not {change!r}")
    vcpus = change.get("vcpus", size.vcpus)
    if isinstance(vcpus, bool) or not isinstance(vcpus, int | float) or not 0.1 <= vcpus <= 64:
        raise reader.refuse("sizes", f"vcpus of {role} is {vcpus!r}, which is not a number from 0.1 to 64")
    memory = reader.check_whole("sizes", f"memoryMb of {role}", change.get("memoryMb", size.memory_mb), 64, 1 << 20)
    return Size(vcpus, memory)


def read_publish(reader: Reader, substrate: str) -> str:
    """Return where the first load balancer is published on this machine, as ADDRESS:PORT; "" for nowhere."""
    value = reader.config.get("publish") or ""
    if value in ("", "none"):
        return ""
    if substrate not in PUBLISHING:
        raise reader.refuse("publish", f"is {value}, but hosts of {substrate} are reached at their own; set it to none")
    address, _, port = value.rpartition(":")
    try:
        IPv4Address(address)
    except ValueError:
        raise reader.refuse("publish", f"{value!r} is not ADDRESS:PORT such as 127.0.0.1:8080, nor none") from None
    reader.check_whole("publish", "the port", port, 1, 65535)
    return value


def read_names(reader: Reader) -> NameServiceSettings:
    """Return the zone, the service's label and the time to live."""
    return NameServiceSettings(
        zone=reader.matching("zone", ZONE, "a DNS zone such as evenkeel.test"),
        service=reader.matching("service", LABEL, "a single DNS label such as test"),
        ttl=reader.whole("ttl", 0, 86_400),
    )


def read_load_balancer(reader: Reader) -> LoadBalancerSettings:
    """Return HAProxy's limits and paths."""
    return LoadBalancerSettings(
        max_connections=reader.whole("maxConnections", 10, 100_000),
        check_interval_ms=reader.whole("checkIntervalMs", 100, 60_000),
        request_timeout_ms=reader.whole("requestTimeoutMs", 100, 600_000),
        ready_path=reader.matching("readyPath", READY_PATH, "a path such as /ready"),
        version_header=read_header(reader),
    )


def read_database(reader: Reader, sites: int) -> DatabaseSettings:
    """Return Cassandra's settings; a replication factor that the sites cannot hold is refused."""
    factor = reader.whole("replicationFactor", 1, 50)
    if factor > sites:
        raise reader.refuse("replicationFactor", f"is {factor}, but there are only {sites} sites; set it to {sites}")
    return DatabaseSettings(
        datacenter=reader.matching("datacenter", re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,47}$"), "a datacenter name"),
        keyspace=reader.matching("keyspace", re.compile(r"^[a-z][a-z0-9_]{0,47}$"), "a lower-case keyspace name"),
        replication_factor=factor,
        heap_mb=reader.whole("databaseHeapMb", 128, 65_536),
        direct_mb=reader.whole("databaseDirectMb", 32, 65_536),
        join_seconds=reader.whole("databaseJoinSeconds", 30, 604_800),
        seed_rows=reader.whole("seedRows", 0, 10_000_000),
    )


def load_artifact(reader: Reader, root: Path) -> Artifact:
    """Return the artifact of the wanted version, its digest and manifest checked."""
    version = reader.matching("version", VERSION, "a version such as 1.0.0")
    template = reader.text("artifact")
    if "{version}" not in template:
        raise reader.refuse("artifact", f"{template!r} has no {{version}} in it; it must, to find each version's file")
    path = root / template.replace("{version}", version)
    try:
        artifact = read_artifact(path)
    except ArtifactError as error:
        raise reader.refuse("version", f"{version} cannot be used: {error}") from None
    if artifact.manifest.version != version:
        found = artifact.manifest.version
        raise reader.refuse("version", f"is {version}, but the manifest in {path.name} says {found}; pack it again")
    ready = artifact.manifest.http.ready
    if ready != reader.text("readyPath"):
        # The load balancers ask both slots, whatever is in them: a version with another path would look dead.
        raise reader.refuse(
            "readyPath", f"is {reader.text('readyPath')}, but {path.name} tells at {ready} that it is ready"
        )
    return artifact
