#!/usr/bin/python3
"""Take an artifact from standard input and unpack it, only whole and only into its place; a module of evenkeel-slot."""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile

CHUNK = 1 << 20


class ArchiveError(Exception):
    """Why the artifact was not taken; nothing was changed."""


def receive(target: str, sha256: str) -> None:
    """Copy standard input to `target`; raises ArchiveError if its digest is not `sha256`."""
    digest = hashlib.sha256()
    with open(target, "wb") as file:
        while chunk := sys.stdin.buffer.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != sha256:
        raise ArchiveError(f"the artifact's sha256 is {digest.hexdigest()}, expected {sha256}; nothing was changed")


def skip() -> None:
    """Read standard input to its end, for whoever sends it."""
    while sys.stdin.buffer.read(CHUNK):
        pass


def unpack(archive: str, target: str) -> None:
    """Unpack `archive` into `target`; raises ArchiveError if anything would land outside it.

    Only plain files, directories and links within the archive are taken, and nothing beneath a link: a link could
    send what lies beneath it anywhere. components/artifact.py refuses the same before an artifact comes this far.
    """
    base = os.path.realpath(target)
    with tarfile.open(archive, "r:gz") as tar:
        members = tar.getmembers()
        links = {os.path.normpath(member.name) for member in members if member.issym()}
        for member in members:
            path = os.path.normpath(member.name)
            points_at = os.path.join(os.path.dirname(path), member.linkname) if member.issym() else path
            inside = all(is_inside(each) for each in (member.name, points_at))
            beneath_link = any(path.startswith(f"{link}/") for link in links)
            if not (member.isfile() or member.isdir() or member.issym()) or not inside or beneath_link:
                why = f"the artifact has an entry that may leave its directory: {member.name}; nothing was changed"
                raise ArchiveError(why)
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            member.mode = (member.mode | 0o444) & 0o755
        tar.extractall(base)  # noqa: S202 - every member was checked above


def is_inside(path: str) -> bool:
    """Tell whether a relative path stays in the directory that it is relative to."""
    plain = os.path.normpath(path)
    return not os.path.isabs(plain) and plain != ".." and not plain.startswith("../")
