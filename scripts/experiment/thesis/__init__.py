"""The thesis's own numbers: typed in, computed again, shown. `evenkeel experiment --thesis-data`.

That its 18 p-values come out validates our statistics on data that are not ours; its averages are what our pictures
put beside our own.
"""

from __future__ import annotations


def main() -> int:
    """Show the thesis's tables computed again; 0 when all of it comes out or is a listed misprint, else 1."""
    from scripts.experiment.thesis.show import main as show  # noqa: PLC0415  # scipy loads only when it is needed

    return show()
