"""`evenkeel experiment`: what cannot be meant together is refused before anything is begun."""

import pytest
from typer.testing import CliRunner

from scripts.cli import commands, experiment


@pytest.fixture
def asked(monkeypatch):
    """The settings of experiments that are begun; none is made."""
    found = []
    monkeypatch.setattr(experiment, "perform", lambda resume, stack, settings, name: found.append(settings) or 0)
    return found


def invoke(*arguments):
    return CliRunner().invoke(commands.app, ["experiment", *arguments])


def test_a_soak_is_as_many_runs_as_it_says(asked):
    assert invoke("--soak", "7").exit_code == 0
    assert [(settings.kind, settings.runs) for settings in asked] == [("soak", 7)]


def test_a_soaks_load_is_a_share_of_what_the_machine_carries_unless_a_level_is_given(asked):
    assert invoke("--soak", "7").exit_code == 0
    assert invoke("--soak", "7", "--levels", "20/40", "--no-knee").exit_code == 0
    assert [(settings.levels, settings.knee) for settings in asked] == [(("40%",), True), (("20/40",), False)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--soak", "0"), "Invalid value for '--soak'"),
        (("--soak", "60", "--runs", "5"), "leave out --runs"),
        (("--soak", "60", "--quick"), "give one of"),
        (("--requests", "put"), "there are no requests «put»"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked, arguments, sentence):
    result = invoke(*arguments)
    assert result.exit_code != 0
    assert sentence in " ".join(result.output.replace("│", " ").split())
    assert not asked


def test_the_thesis_is_repeated_with_its_own_request(asked):
    assert invoke("--thesis").exit_code == 0
    assert invoke("--thesis", "--requests", "mix").exit_code == 0
    assert [settings.requests for settings in asked] == ["thesis", "mix"]
