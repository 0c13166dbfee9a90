"""A HAProxy of the tests: its admin socket's commands as far as evenkeel-traffic uses them, from memory."""

from __future__ import annotations

from dataclasses import dataclass, field

FIELDS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health"
)
BITS = {"ready": 4, "drain": 12, "maint": 5}


@dataclass
class FakeHaproxy:
    """Servers with state, weight and health; what was sent to it; and what it refuses."""

    states: dict[str, str]
    weights: dict[str, int] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    refuses: str = "nothing"
    said: list[str] = field(default_factory=list)

    def ask(self, command: str) -> str:
        """Answer as HAProxy 2.6 does."""
        if command == "show servers state":
            return self.table()
        if command == "show stat":
            names = "".join(f"app_{name.split('-')[1]},{name},L7OK,0\n" for name in self.states)
            return f"# pxname,svname,check_status,scur\n{names}"
        if command == "show map":
            return ""
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
