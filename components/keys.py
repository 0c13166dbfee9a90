"""The stack's keys and secrets: made once by a command, kept encrypted in the stack's state and nowhere else."""

from __future__ import annotations

import json

import pulumi

from components.commands import run_here


class SshKey:
    """An ed25519 key pair; `private` (OpenSSH PEM) is secret, `public` is as in authorized_keys."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        made = run_here(name, "scripts.keys ssh", {}, opts, secret_output=True).stdout
        self.private = part(made, "private")
        # Only half of the command's output is a secret: the public half is shown, pinned and compared.
        self.public = pulumi.Output.unsecret(part(made, "public"))


class SharedSecret:
    """256 random bits as `base64` (for TSIG) and, independently, as `password` (URL-safe characters)."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        made = run_here(name, "scripts.keys secret", {}, opts, secret_output=True).stdout
        self.base64 = part(made, "base64")
        self.password = part(made, "password")


def part(made: pulumi.Output[str], name: str) -> pulumi.Output[str]:
    """Return one entry of the JSON that a key maker printed; as secret as the whole."""
    return made.apply(lambda text: str(json.loads(text)[name]))
