"""Hosts as machine containers on this machine, by rootful podman: systemd as PID 1, sshd, a fixed address.

Called by the Pulumi program (`components/containers.py`) with JSON on standard input, and by hand for start, stop,
list and purge. Everything made here carries the label `evenkeel.stack`, and is found again by it.
"""
