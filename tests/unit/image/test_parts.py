"""Mirrors, pieces, host tools and the log: the parts of the build that need neither root nor podman."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.image.errors import ImageError
from scripts.image.layer import COMMANDS, LIBRARY, lay_out_tools
from scripts.image.pieces import Piece, fetch_piece
from scripts.image.progress import last_line
from scripts.image.recipe import Recipe, host_tool_files, load_recipe
from scripts.image.rootfs import Mirror, parse_mirrors, sources_lines, trusted_keys
from scripts.image.run import need, run_logged

LISTING = """\
Debian|Debian|http://archive.test/debian/
Debian|Debian|http://archive.test/debian/
Debian|Debian-Security|http://archive.test/security/
Node Source|Node Source|http://vendor.test/node/
Debian|Debian Backports|http://archive.test/debian/
"""


def test_only_debians_own_archives_are_used() -> None:
    assert parse_mirrors(LISTING) == (
        Mirror("http://archive.test/debian", "Debian"),
        Mirror("http://archive.test/security", "Debian-Security"),
    )


def test_the_suite_is_the_recipes_whatever_this_machine_runs() -> None:
    assert sources_lines("bookworm", parse_mirrors(LISTING)) == [
        "deb http://archive.test/debian bookworm main",
        "deb http://archive.test/debian bookworm-updates main",
        "deb http://archive.test/security bookworm-security main",
    ]


def test_a_machine_without_debians_archive_leaves_the_choice_to_mmdebstrap() -> None:
    assert sources_lines("bookworm", parse_mirrors("Ubuntu|Ubuntu|http://archive.test/ubuntu\n")) == []


def test_where_apt_has_no_debian_sources_the_archives_own_keys_are_named(tmp_path):
    keyring = tmp_path / "keyring.gpg"
    assert trusted_keys([], keyring) == []
    keyring.touch()
    assert trusted_keys([], keyring) == [f"--keyring={keyring}"]
    assert trusted_keys(["deb http://mirror.test/debian bookworm main"], keyring) == []
    assert sources_lines("bookworm", (Mirror("http://archive.test/security", "Debian-Security"),)) == []


class Fetcher:
    """Fetches a piece, as often as it is asked, and fails when told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.fail = False

    def __call__(self, recipe: Recipe, target: Path, log: Path) -> None:
        self.calls += 1
        (target / "half").write_text("half")
        if self.fail:
            raise ImageError("no network")
        (target / "whole").write_text(recipe.suite)


def test_a_piece_is_fetched_once_and_again_only_when_its_pin_changes(tmp_path: Path) -> None:
    fetcher, pin = Fetcher(), tmp_path / "pin"
    piece = Piece("jars", "jars", "opt", (pin,), fetcher)
    pin.write_text("1")
    first = fetch_piece(piece, load_recipe(), tmp_path, tmp_path / "log")
    assert fetch_piece(piece, load_recipe(), tmp_path, tmp_path / "log") == first
    assert fetcher.calls == 1
    pin.write_text("2")
    second = fetch_piece(piece, load_recipe(), tmp_path, tmp_path / "log")
    assert second != first
    assert not first.exists()


def test_a_piece_that_failed_half_way_is_not_taken_for_whole(tmp_path: Path) -> None:
    fetcher, pin = Fetcher(), tmp_path / "pin"
    pin.write_text("1")
    piece = Piece("jars", "jars", "opt", (pin,), fetcher)
    fetcher.fail = True
    with pytest.raises(ImageError):
        fetch_piece(piece, load_recipe(), tmp_path, tmp_path / "log")
    fetcher.fail = False
    done = fetch_piece(piece, load_recipe(), tmp_path, tmp_path / "log")
    assert (done / "whole").exists()
    assert fetcher.calls == 2


def test_host_tools_become_commands_without_their_suffix(tmp_path: Path) -> None:
    lay_out_tools(tmp_path)
    for tool in host_tool_files():
        command = tmp_path / COMMANDS / tool.stem
        if "_" in tool.stem:
            assert not command.is_symlink(), "a module that the tools share is no command"
        else:
            assert command.readlink() == Path(f"/{LIBRARY}/{tool.name}")
        assert (tmp_path / LIBRARY / tool.name).stat().st_mode & 0o777 == 0o755


def test_a_failed_program_is_one_sentence_with_its_last_words_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    with pytest.raises(ImageError, match=r"Making it failed \(it broke\): see .*build.log") as failure:
        run_logged(["sh", "-c", "echo fine; echo it broke; exit 3"], log, "Making it")
    assert "\n" not in str(failure.value)


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ImageError, match=r"no-such-program.*no-such-package"):
        need("no-such-program", "no-such-package")


def test_the_last_line_of_a_log_is_the_last_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == ""
    log.write_bytes(b"x" * 5000 + b"\nlast words\n\n  \n")
    assert last_line(log) == "last words"
