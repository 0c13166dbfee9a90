"""`python -m scripts.engine VERB`."""

import sys

from scripts.engine.cli import main

sys.exit(main(sys.argv[1:]))
