"""`python -m scripts.cli` is `evenkeel`."""

from scripts.cli import main

main()
