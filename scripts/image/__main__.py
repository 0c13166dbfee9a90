"""`python -m scripts.image VERB`: make the machine image, as a podman image or as a disk, say its name, check it."""

import argparse
import sys
from collections.abc import Callable

from scripts.image.build import ensure_image
from scripts.image.disk import check_disk, describe, ensure_disk, wanted_disk
from scripts.image.errors import ImageError
from scripts.image.recipe import load_recipe


def main() -> int:
    """Do what the verb says and print the image's name, or the disk as JSON."""
    parser = argparse.ArgumentParser(prog="python -m scripts.image", description=__doc__)
    verbs: dict[str, Callable[[], str]] = {
        "ensure": ensure_image,  # podman has the image
        "reference": lambda: load_recipe().reference,
        "ensure-disk": lambda: describe(ensure_disk()),  # the disk image's file is there
        "disk": lambda: describe(wanted_disk()),
        "check": lambda: check_disk(wanted_disk()),  # its SHA-256 is the recorded one
    }
    parser.add_argument("verb", choices=verbs, help="ensure and ensure-disk make what is missing")
    verb = parser.parse_args().verb
    try:
        print(verbs[verb]())
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("image: interrupted; the next run takes it up from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
