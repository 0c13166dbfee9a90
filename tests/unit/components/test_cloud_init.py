"""A virtual machine's seed: what it holds, and that another seed is another machine."""

from __future__ import annotations

import yaml

from components.cloud_init import data_devices, digest_of, mac_of
from components.render import render

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn: 'tricky' # {{ x }}\n-----END OPENSSH PRIVATE KEY-----\n"


def user_data(volumes: dict[str, str]) -> dict[str, object]:
    text = render(
        "cloud-init/user-data.j2",
        name="db-a",
        address="10.87.0.22",
        zone="evenkeel.test",
        name_servers=["10.87.0.11", "10.87.0.12"],
        time_servers=["10.87.0.1", "10.87.0.9"],
        authorized_key="ssh-ed25519 AAAA deploy",
        host_private_key=KEY,
        volumes=data_devices(volumes),
    )
    assert text.startswith("#cloud-config\n")
    found: dict[str, object] = yaml.safe_load(text)
    return found


def written(document: dict[str, object]) -> dict[str, tuple[str, str | None]]:
    files = document["write_files"]
    assert isinstance(files, list)
    return {file["path"]: (file["content"], file.get("permissions")) for file in files}


def test_a_seed_holds_the_hosts_key_who_may_log_in_and_where_names_are_looked_up() -> None:
    files = written(user_data({}))
    assert files["/etc/ssh/ssh_host_ed25519_key"] == (KEY, "0600")
    assert files["/root/.ssh/authorized_keys"] == ("ssh-ed25519 AAAA deploy\n", "0600")
    assert files["/etc/hosts"][0] == "127.0.0.1\tlocalhost\n10.87.0.22\tdb-a.evenkeel.test db-a\n"
    assert files["/etc/resolv.conf"][0].splitlines() == [
        "search evenkeel.test", "nameserver 10.87.0.11", "nameserver 10.87.0.12"
    ]  # fmt: skip


def test_the_time_comes_from_servers_that_are_found_without_a_name() -> None:
    content, _ = written(user_data({}))["/etc/systemd/timesyncd.conf.d/evenkeel.conf"]
    assert content == "[Time]\nNTP=10.87.0.1 10.87.0.9\nFallbackNTP=\n"


def test_a_data_disk_gets_a_file_system_only_where_it_has_none_and_is_mounted() -> None:
    document = user_data({"data": "/var/lib/cassandra"})
    assert document["bootcmd"] == [["/lib/systemd/systemd-makefs", "ext4", "/dev/vdb"]]
    assert document["mounts"] == [["/dev/vdb", "/var/lib/cassandra", "ext4", "noatime", "0", "2"]]
    assert "mounts" not in user_data({})


def test_the_address_is_fixed_on_the_interface_that_belongs_to_it() -> None:
    mac = mac_of("10.87.0.22")
    text = render("cloud-init/network-config.j2", address="10.87.0.22", prefix_length=24, gateway="10.87.0.1", mac=mac)
    interface = yaml.safe_load(text)["ethernets"]["eth0"]
    assert interface["addresses"] == ["10.87.0.22/24"]
    assert interface["match"] == {"macaddress": "52:54:00:57:00:16"}
    assert interface["routes"] == [{"to": "0.0.0.0/0", "via": "10.87.0.1"}]


def test_another_key_or_image_is_another_digest() -> None:
    assert digest_of("image", "data") == digest_of("image", "data")
    assert len({digest_of("image", "data"), digest_of("image", "other"), digest_of("imagedata", "")}) == 3
