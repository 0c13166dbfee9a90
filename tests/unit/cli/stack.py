"""A stack that serves: its outputs, and what evenkeel-facts prints on each of its hosts (recorded, then shortened)."""

from copy import deepcopy

SITES = ("a", "b", "c", "d")
ADDRESSES = {
    **{f"lb-{site}": f"10.77.0.{11 + number}" for number, site in enumerate(SITES)},
    **{f"app-{site}": f"10.77.0.{31 + number}" for number, site in enumerate(SITES)},
    **{f"db-{site}": f"10.77.0.{51 + number}" for number, site in enumerate(SITES)},
    "ns-1": "10.77.0.21",
    "ns-2": "10.77.0.22",
    "control": "10.77.0.71",
    "runner": "10.77.0.72",
}
BALANCERS = [ADDRESSES[f"lb-{site}"] for site in SITES]


def outputs():
    """What `pulumi stack output --json --show-secrets` prints, as an object."""
    hosts = [
        {
            "name": name,
            "role": name.split("-")[0],
            "site": name[-1] if name[-2] == "-" and name[-1] in SITES else None,
            "address": address,
            "host_key": f"ssh-ed25519 {name}",
            "power": {
                "on": ["scripts.containers", "start", "--stack", "dev", name],
                "off": ["scripts.containers", "stop", "--stack", "dev", name],
            },
        }
        for name, address in ADDRESSES.items()
    ]
    return {
        "inventory": {
            "stack": "dev",
            "zone": "evenkeel.test",
            "service": "test.evenkeel.test",
            "sites": list(SITES),
            "name_servers": [ADDRESSES["ns-1"], ADDRESSES["ns-2"]],
            "hosts": hosts,
            "url": "http://127.0.0.1:8080/item",
            "keyspace": "evenkeel",
        },
        "deploy_key": "PRIVATE",
        "version": "1.0.0",
        "url": "http://127.0.0.1:8080/item",
    }


def unit(name, state="active", detail="running", result="success"):
    return {
        "name": name,
        "state": state,
        "detail": detail,
        "enabled": True,
        "result": result,
        "restarts": 0,
        "memory": 20 << 20,
    }


def server(site, slot, state, status=None, weight=100):
    return {
        "backend": "app",
        "server": f"{site}-{slot}",
        "address": f"{ADDRESSES[f'app-{site}']}:{8001 if slot == 'blue' else 8002}",
        "state": state,
        "status": status or state,
        "weight": weight,
        "backup": False,
        "check": "L7OK",
        "sessions": 0,
        "total": 10,
        "since": 60,
    }


def machine(name):
    return {
        "format": 1,
        "host": name,
        "time": 1700000000.0,
        "units": [unit("ssh")],
        "failed": [],
        "memory": {"used": 60 << 20, "limit": 256 << 20},
        "load": [0.2, 0.1, 0.1],
        "uptime": 100.0,
    }


def balancer():
    servers = [server(site, "blue", "UP") for site in SITES] + [server(site, "green", "MAINT") for site in SITES]
    return {
        "units": [unit("haproxy"), unit("ssh")],
        "lb": {"requests": 5, "errors": 0, "sessions": 1, "servers": servers},
    }


def application():
    blue = {"slot": "blue", "port": 8001, "installed": "1.0.0", "version": "1.0.0", "health": 200, "ready": 200}
    green = {"slot": "green", "port": 8002, "installed": None, "version": None, "error": "nothing listens"}
    return {"units": [unit("app@blue"), unit("ssh")], "app": [blue, green]}


def database():
    nodes = [{"state": "UN", "address": ADDRESSES[f"db-{site}"], "rack": site} for site in SITES]
    return {
        "units": [unit("cassandra"), unit("ssh")],
        "db": {"takes_clients": True, "ring": {"nodes": nodes, "age": 0.5}},
    }


def name_server():
    zone = {"zone": "evenkeel.test", "serial": 2026112401, "name": "test.evenkeel.test", "addresses": BALANCERS}
    return {"units": [unit("named"), unit("ssh")], "ns": zone}


PARTS = {"lb": balancer, "app": application, "db": database, "ns": name_server}


def healthy():
    """Host name -> facts, all well."""
    return {name: machine(name) | PARTS.get(name.split("-")[0], dict)() for name in ADDRESSES}


def find_server(facts, balancer_name, server_name):
    """The entry of one server in one load balancer's facts."""
    return next(entry for entry in facts[balancer_name]["lb"]["servers"] if entry["server"] == server_name)


def copy(facts):
    return deepcopy(facts)
