"""The image's name follows from everything that goes into it, and from nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.image.recipe import HOST_TOOLS, RECIPE, host_tool_files, load_recipe, read_list


@pytest.fixture
def copy(tmp_path: Path) -> tuple[Path, Path]:
    """A recipe and host tools of the test's own."""
    recipe, tools = tmp_path / "recipe", tmp_path / "host"
    shutil.copytree(RECIPE, recipe)
    tools.mkdir()
    (tools / "evenkeel-apply.py").write_text("print('apply')\n")
    return recipe, tools


def test_the_same_recipe_has_the_same_name_wherever_it_lies(copy: tuple[Path, Path]) -> None:
    shutil.copytree(HOST_TOOLS, copy[1], dirs_exist_ok=True)
    (copy[1] / "evenkeel-apply.py").write_bytes((HOST_TOOLS / "evenkeel-apply.py").read_bytes())
    for path in copy[1].glob("*.py"):
        path.chmod((HOST_TOOLS / path.name).stat().st_mode)
    assert load_recipe(*copy).reference == load_recipe().reference


@pytest.mark.parametrize("name", ["packages.txt", "pom.xml", "python.txt", "pins.toml", "vegeta/go.sum", "customize"])
def test_any_change_of_a_recipe_file_makes_another_image(copy: tuple[Path, Path], name: str) -> None:
    before = load_recipe(*copy)
    with (copy[0] / name).open("a") as stream:
        stream.write("\n")
    after = load_recipe(*copy)
    assert after.base_reference != before.base_reference
    assert after.reference != before.reference


def test_a_file_for_the_image_counts_with_its_name(copy: tuple[Path, Path]) -> None:
    before = load_recipe(*copy).base_digest
    file = copy[0] / "files" / "etc" / "ssh" / "sshd_config.d" / "evenkeel.conf"
    file.rename(file.with_name("other.conf"))
    assert load_recipe(*copy).base_digest != before


def test_a_changed_host_tool_makes_another_image_on_the_same_base(copy: tuple[Path, Path]) -> None:
    before = load_recipe(*copy)
    (copy[1] / "evenkeel-apply.py").write_text("print('other')\n")
    after = load_recipe(*copy)
    assert after.base_reference == before.base_reference
    assert after.reference != before.reference


def test_caches_of_python_do_not_count(copy: tuple[Path, Path]) -> None:
    before = load_recipe(*copy)
    cache = copy[0] / "files" / "__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"x")
    assert load_recipe(*copy) == before


def test_a_repository_without_host_tools_still_has_an_image(tmp_path: Path) -> None:
    assert host_tool_files(tmp_path / "none") == ()


def test_a_list_is_read_without_comments_and_blank_lines(tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("# why\n\nsystemd  # PID 1\n  haproxy\n")
    assert read_list(listing) == ("systemd", "haproxy")


@pytest.mark.parametrize("package", ["systemd", "openssh-server", "haproxy", "bind9", "nodejs", "python3", "nftables"])
def test_the_recipe_has_what_the_roles_need(package: str) -> None:
    assert package in load_recipe().packages
