"""`python -m scripts.artifact pack|ensure|check`: make artifacts of services, and check them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from components.artifact import Artifact, ArtifactError, read_artifact
from scripts.artifact.pack import ensure_sample, one_at_a_time, pack_directory, pack_sample
from scripts.artifact.sample import DAMAGE_MARK, Sample

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "artifacts"
SAMPLE = Sample(app=ROOT / "app", cache=ROOT / ".evenkeel" / "cache")


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="python -m scripts.artifact", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    pack = verbs.add_parser("pack", help="pack a version of the sample service, or any service with --from")
    pack.add_argument("version", nargs="?", help="a version in app/releases")
    pack.add_argument("--from", dest="directory", type=Path, help="a directory with an evenkeel.toml")
    ensure = verbs.add_parser("ensure", help="pack a version of the sample service unless it is there and current")
    ensure.add_argument("version")
    check = verbs.add_parser("check", help="check an artifact as the program does before it installs one")
    check.add_argument("path", type=Path)
    return top


def pack(version: str | None, directory: Path | None) -> None:
    """Pack a version of the sample, or a directory."""
    if (version is None) == (directory is None):
        raise ArtifactError("give either a version of the sample service or --from DIRECTORY")
    with one_at_a_time(SAMPLE.cache):
        if directory is not None:
            describe(pack_directory(directory, ARTIFACTS))
        elif version is not None:
            say(f"packing {version}")
            describe(pack_sample(SAMPLE, version, ARTIFACTS))
            warn_of_damage(version)


def ensure(version: str) -> None:
    """Pack a version of the sample if need be."""
    path, packed = ensure_sample(SAMPLE, version, ARTIFACTS)
    print(f"{path.relative_to(ROOT)}: {'packed' if packed else 'up to date'}")
    warn_of_damage(version)


def warn_of_damage(version: str) -> None:
    """Say so where a version's artifact is broken because its release asks for it."""
    if SAMPLE.is_damaged(version):
        say(f"{version} is damaged on purpose and will be refused (app/releases/{version}/{DAMAGE_MARK})")


def describe(artifact: Artifact) -> None:
    """Print what an artifact is."""
    manifest = artifact.manifest
    size = artifact.path.stat().st_size
    print(f"{artifact.relative_path}: {manifest.name} {manifest.version}, {size / 1024:.0f} KiB")
    print(f"  sha256  {artifact.sha256}")
    print(f"  start   {' '.join(manifest.start)}")
    print(f"  smoke   {len(manifest.smoke)} check(s)")
    print(f"  tables  {', '.join(table.name for table in manifest.tables) or 'none'}")


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"artifact: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Do what the command line asks; a mistake of the user's is one sentence and exit code 1."""
    arguments = parser().parse_args()
    try:
        match arguments.verb:
            case "pack":
                pack(arguments.version, arguments.directory)
            case "ensure":
                ensure(arguments.version)
            case "check":
                describe(read_artifact(arguments.path))
    except ArtifactError as error:
        print(f"artifact: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"artifact: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("artifact: interrupted; nothing was left half done", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
