"""The mirror's own tests, in Java, against the jars of the Cassandra that the hosts run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.image.build import ensure_image
from scripts.image.recipe import ROOT
from scripts.mirror.build import cassandra_jars, compile_to

pytestmark = pytest.mark.system

MIRROR = ROOT / "mirror"
TEMPLATES = ROOT / "templates" / "cassandra"


def test_what_the_mirror_makes_of_a_write_is_what_the_same_write_to_the_twin_would_be(tmp_path: Path) -> None:
    ensure_image()
    jars, classes, pairs = cassandra_jars(), tmp_path / "classes", tmp_path / "pairs"
    pairs.mkdir()
    compile_to(classes, sorted(MIRROR.rglob("*.java")), jars)
    logging = tmp_path / "logback.xml"
    logging.write_text((TEMPLATES / "logback-tools.xml.j2").read_text().partition("-#}\n")[2])
    opened = [line for line in (TEMPLATES / "jvm.options.j2").read_text().splitlines() if line.startswith("--add-")]
    command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-ea", *opened]
    command += [f"-Dlogback.configurationFile={logging}", "-cp", f"{classes}:{jars}/*", "evenkeel.MirrorTest"]
    done = subprocess.run([*command, str(pairs)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "0 failed" in done.stdout
