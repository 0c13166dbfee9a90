"""`evenkeel backfill --engine`: programs are run as shown, and their passwords are nobody else's to see."""

import sys

import pytest

from scripts.cli.backfill import run, show
from scripts.tables.errors import TablesError
from scripts.tables.external import Step

LOOK = "import os, sys; sys.exit(0 if os.stat(sys.argv[1]).st_mode & 0o777 == 0o600 else 3)"
FILES = {"login.conf": "host=10.0.0.1\nauth.password=secret\n"}


def test_a_program_finds_its_files_which_are_its_owners_only(tmp_path):
    run(Step((sys.executable, "-c", LOOK, str(tmp_path / "login.conf")), FILES), tmp_path)
    assert (tmp_path / "login.conf").read_text("utf-8") == FILES["login.conf"]


def test_a_program_that_fails_is_named_with_its_status(tmp_path):
    with pytest.raises(TablesError, match="ended with status 5; the release's own copy goes on"):
        run(Step((sys.executable, "-c", "raise SystemExit(5)")), tmp_path)


def test_a_program_that_is_not_there_is_asked_for(tmp_path):
    with pytest.raises(TablesError, match=r"spark-submit cannot be started .* --program"):
        run(Step((str(tmp_path / "spark-submit"),)), tmp_path)


def test_what_is_shown_has_everything_but_the_password(capsys):
    show(Step(("dsbulk", "load", "-m", "a = b"), FILES))
    said = capsys.readouterr().out
    assert "host=10.0.0.1" in said
    assert "dsbulk load '-m' 'a = b'" in said or "dsbulk load -m 'a = b'" in said
    assert "secret" not in said
