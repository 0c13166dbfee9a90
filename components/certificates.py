"""Certificates for the ring's own traffic: one authority a stack, one certificate a node."""

from __future__ import annotations

import pulumi

from components.commands import run_here
from components.keys import part


class Authority:
    """The stack's certificate authority; `certificate` (PEM) is public, `private` (PEM) is secret."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        made = run_here(name, f"scripts.certificates authority {name}", {}, opts, secret_output=True).stdout
        self.private = part(made, "private")
        self.certificate = pulumi.Output.unsecret(part(made, "certificate"))


class Certificate:
    """One node's certificate and key, signed by the authority for its name and address."""

    def __init__(self, name: str, host: str, address: str, authority: Authority, opts: pulumi.ResourceOptions) -> None:
        signer = {"private": authority.private, "certificate": authority.certificate}
        program = f"scripts.certificates host {host} {address}"
        made = run_here(name, program, signer, opts, secret_output=True).stdout
        self.private = part(made, "private")
        self.certificate = pulumi.Output.unsecret(part(made, "certificate"))
