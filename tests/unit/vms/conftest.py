"""A hypervisor that is a program called virsh: what it answers is set by the test, what it is asked is written down."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

PROGRAM = """#!{python}
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
verb = [word for word in sys.argv[1:] if word != "--quiet"][2:]
with (here / "asked").open("a") as stream:
    stream.write(" ".join(verb) + "\\n")
kept = json.loads((here / "kept").read_text())
if verb[0] in kept:
    shutil.copy(verb[-1], kept[verb[0]])
answers = json.loads((here / "answers").read_text())
if "qemu+ssh" in sys.argv[2] and (here / "only_here").exists():
    sys.exit("error: no route to host")
text = " ".join(verb)
for start, (code, out, err) in answers.items():
    if text.startswith(start):
        sys.stdout.write(out)
        sys.stderr.write(err)
        sys.exit(code)
"""


class FakeVirsh:
    """Answers by the beginning of what is asked; what nobody has set succeeds and says nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, tuple[int, str, str]] = {}
        (folder / "kept").write_text("{}")
        (folder / "virsh").write_text(PROGRAM.format(python=sys.executable))
        (folder / "virsh").chmod(0o755)
        self._save()

    def _save(self) -> None:
        (self._folder / "answers").write_text(json.dumps(self._answers))

    def answer(self, start: str, out: str = "", *, error: str = "") -> None:
        """What it says to anything that begins like this; with an error it fails."""
        self._answers[start] = (1 if error else 0, out, error)
        self._save()

    def keep(self, verb: str, place: Path) -> None:
        """Keep a copy of the file that is named last in what it is asked by this verb, with its mode."""
        (self._folder / "kept").write_text(json.dumps({verb: str(place)}))

    def answer_only_here(self) -> None:
        """From now on there is no way to other machines' hypervisors."""
        (self._folder / "only_here").touch()

    @property
    def asked(self) -> list[str]:
        """Everything that it was asked so far."""
        path = self._folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def virsh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVirsh:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return FakeVirsh(folder)
