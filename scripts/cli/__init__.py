"""The `evenkeel` command: look at a running stack, reach its hosts, stop and start them.

Read-only by default: `status`, `summary`, `ssh`, `logs`, `history`, `lock show`; `stop` and `start` act on containers
of this machine; `confirm`, `reject`, `abort`, `hold`, `unhold` and `lock break` tell a release what people want.
`commands` and `releases` list the commands, one function each; the rest of the package is what they are made of:
`facts` asks the hosts, `judgement` decides what is wrong, `table` and `history` draw, `terminal` starts the system's
ssh client.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the `evenkeel` command."""
    from scripts.cli.commands import run  # noqa: PLC0415  # paramiko and rich load only when a command runs

    run()
