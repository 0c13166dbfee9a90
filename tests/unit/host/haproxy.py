"""A HAProxy of the tests: its admin socket's commands as far as evenkeel-traffic uses them, from memory."""

from __future__ import annotations

from dataclasses import dataclass, field

FIELDS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health"
)
BITS = {"ready": 4, "drain": 12, "maint": 5}


def state_folder() -> str:
    """Return where the tool under test keeps its files at this moment."""
    import evenkeel_haproxy

    return str(evenkeel_haproxy.FOLDER)


@dataclass
class FakeHaproxy:
    """Servers with state, weight and health; maps; writes under way; what was sent to it; and what it refuses."""

    states: dict[str, str]
    weights: dict[str, int] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    refuses: str = "nothing"
    said: list[str] = field(default_factory=list)
    maps: dict[str, dict[str, str]] = field(default_factory=lambda: {"freeze.map": {}})  # by the file's name
    under_way: int = 0
    prepared: dict[str, str] = field(default_factory=dict)

    @property
    def frozen(self) -> bool:
        """Whether writes wait."""
        return "writes" in self.maps["freeze.map"]

    def ask(self, command: str) -> str:
        """Answer as HAProxy 2.6 does."""
        if command == "show servers state":
            return self.table()
        if command == "show stat":
            names = "".join(f"app_{name.split('-')[1]},{name},L7OK,0\n" for name in self.states)
            return f"# pxname,svname,check_status,scur\n{names}"
        if command.split()[1] in ("map", "table", "info"):
            return self.look(command) if command.startswith("show") else self.change_map(command)
        self.said.append(command)
        if self.refuses in command:
            return "No such server."
        _, _, target, what, value = command.split()
        name = target.removeprefix("app/")
        if what == "weight":
            self.weights[name] = int(value)
        else:
            self.states[name] = value
        return ""

    def look(self, command: str) -> str:
        """Answer «show map», «show map PATH», «show table writes» and «show info»."""
        match command.split():
            case [_, "map"]:
                return "".join(
                    f"1 (/state/{name}) pattern loaded from file '{state_folder()}/{name}'\n" for name in self.maps
                )
            case [_, "map", path]:
                entries = self.maps.get(path.rpartition("/")[2], {}).items()
                return "".join(f"0x55 {key} {value}\n" for key, value in entries)
            case [_, "table", name]:
                return f"# table: {name}, type: string\n0x55: key={name} use=0 exp=0 conn_cur={self.under_way}\n"
        return "Name: HAProxy\nPid: 1\n"

    def change_map(self, command: str) -> str:
        """Prepare, fill and put in place a map."""
        if self.refuses in command:
            return "Unknown map identifier."
        match command.split():
            case ["prepare", *_]:
                self.prepared = {}
                return "New version created: 7"
            case ["add", "map", "@7", _, key, value]:
                self.prepared[key] = value
            case ["commit", "map", "@7", path]:
                self.maps[path.rpartition("/")[2]] = dict(self.prepared)
                self.said.append(f"{path.rpartition('/')[2]} {self.prepared}")
        return ""

    def table(self) -> str:
        """Return «show servers state»."""
        lines = ["1", f"# {FIELDS}"]
        for number, (name, state) in enumerate(self.states.items(), 1):
            up = 0 if name in self.down else 2
            weight = self.weights.get(name, 100)
            own = up if state != "maint" else 0
            lines.append(f"3 app {number} {name} 10.0.0.1 {own} {BITS[state]} {weight} 100 1 1 0 0")
            lines.append(f"4 app_{name.split('-')[1]} {number} {name} 10.0.0.1 {up} 0 1 1 1 15 3 {up}")
        return "\n".join(lines)
