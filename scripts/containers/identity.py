"""What makes a container this host and no other: its keys and its hosts file, as a tar for `podman cp`.

Keys go in this way and not as arguments or environment, which `podman inspect` would show to anyone who may ask.
"""

import io
import tarfile

from scripts.containers.spec import MachineSpec


def identity_archive(spec: MachineSpec) -> bytes:
    """The files of one host, owned by root, with the modes that sshd insists on."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        _add(archive, "etc/ssh/ssh_host_ed25519_key", spec.host_private_key.rstrip("\n") + "\n", 0o600)
        _add(archive, "root/.ssh/authorized_keys", spec.authorized_key.rstrip("\n") + "\n", 0o600)
        _add(archive, "etc/hosts", hosts_file(spec), 0o644)
    return stream.getvalue()


def hosts_file(spec: MachineSpec) -> str:
    """The host's own name and the names it was given."""
    own = f"{spec.name}.{spec.search} {spec.name}" if spec.search else spec.name
    entries = [("127.0.0.1", "localhost"), (spec.address, own)]
    entries += [(address, name) for name, address in sorted(spec.hosts.items())]
    return "".join(f"{address}\t{name}\n" for address, name in entries)


def _add(archive: tarfile.TarFile, name: str, content: str, mode: int) -> None:
    data = content.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))
