"""`python -m scripts.image ensure|reference`: make the machine image, or say its name."""

import argparse
import sys

from scripts.image.build import ensure_image
from scripts.image.errors import ImageError
from scripts.image.recipe import load_recipe


def main() -> int:
    """Print the image's reference, after making the image if asked to."""
    parser = argparse.ArgumentParser(prog="python -m scripts.image", description=__doc__)
    parser.add_argument("verb", choices=("ensure", "reference"), help="make the image if missing, or print its name")
    verb = parser.parse_args().verb
    try:
        print(ensure_image() if verb == "ensure" else load_recipe().reference)
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("image: interrupted; the next run takes it up from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
