"""The thesis's tables in a terminal, as printed and as its rows give them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from scripts.experiment.thesis.appendix import LEVELS, SCENARIOS, misprints
from scripts.experiment.thesis.recompute import Check, PValue, checks, p_values, unused

TITLES = {
    "4.1": "Table 4.1: errors, % of requests",
    "4.2": "Table 4.2: average response time, ms",
    "4.3": "Table 4.3: longest response time, ms",
    "5.1": "Table 5.1: p-values of the error rate",
    "5.2": "Table 5.2: p-values of the average response time",
    "5.3": "Table 5.3: p-values of the longest response time",
}


def main() -> int:
    """Print everything; 0 when all comes out or is a listed misprint, else 1."""
    found, tests = checks(), p_values()
    console = Console()
    for number in ("4.1", "4.2", "4.3"):
        console.print(mean_table(number, found), highlight=False)
    for number in ("5.1", "5.2", "5.3"):
        console.print(p_table(number, tests), highlight=False)
    console.print(misprint_table([check for check in found if not check.comes_out]), highlight=False)
    for sentence in sentences(found, tests):
        console.print(sentence, highlight=False, soft_wrap=True)
    return 0 if is_good(found, tests) else 1


def is_good(found: Sequence[Check], tests: Sequence[PValue]) -> bool:
    """Whether everything comes out, or is a misprint as listed."""
    return (
        all(check.is_explained for check in found) and all(test.comes_out for test in tests) and not unused(list(found))
    )


def mean_table(number: str, found: Sequence[Check]) -> Table:
    """A table of averages; where the rows give something else, both."""
    cells = {check.place: check for check in found}
    table = plain(TITLES[number], "level", *SCENARIOS)
    for level in LEVELS:
        table.add_row(level, *(figure(cells[f"{number} {level} {scenario}"]) for scenario in SCENARIOS))
    return table


def figure(check: Check) -> str:
    """A figure that comes out, or what is printed and what the rows give."""
    if check.comes_out:
        return check.printed
    return f"[yellow]{check.printed} (rows: {check.gives})[/]"


def p_table(number: str, tests: Sequence[PValue]) -> Table:
    """The p-values of a table: printed, from the printed rows, from corrected ones."""
    table = plain(TITLES[number], "level", "scenario", "printed", "from its rows", "rates corrected", "")
    for test in tests:
        if test.figure.table == number:
            word = "[green]reproduced[/]" if test.comes_out else "[red]does not come out[/]"
            table.add_row(
                test.figure.level,
                test.figure.scenario,
                test.figure.text,
                f"{test.from_rows:.5f}",
                f"{test.corrected:.5f}",
                word + (" [yellow]flips at 0.05[/]" if test.flips else ""),
            )
    return table


def misprint_table(wrong: Sequence[Check]) -> Table:
    """Every figure that its rows do not give, and why."""
    table = plain("What the rows do not give", "where", "printed", "rows give", "why")
    for check in wrong:
        why = check.misprint.why if check.misprint and check.is_explained else "[red]not known as a misprint[/]"
        table.add_row(check.place, check.printed or "-", check.gives, why)
    return table


def sentences(found: Sequence[Check], tests: Sequence[PValue]) -> list[str]:
    """What it comes to."""
    good = sum(test.comes_out for test in tests)
    out = sum(check.comes_out for check in found)
    lines = [
        f"{good} of {len(tests)} p-values are reproduced to the printed digits "
        "(Student's t-test, two-sided, pooled variance).",
        f"{out} of {len(found)} rows and averages come out; {len(misprints())} misprints are listed.",
    ]
    for test in tests:
        if test.flips:
            lines.append(
                f"With the rates corrected, {test.figure.level} {test.figure.scenario} in Table {test.figure.table} "
                f"has p = {test.corrected:.4f}, printed {test.figure.text}: what it says at 0.05 is the opposite."
            )
    for check in found:
        if not check.is_explained:
            lines.append(
                f"[red]{check.place}: {check.printed or 'nothing'} is printed, the rows give {check.gives}, and no "
                "misprint explains it.[/]"
            )
    for misprint in unused(list(found)):
        lines.append(f"[red]misprints.toml names {misprint.place}, where there is no figure.[/]")
    return lines


def plain(title: str, *headings: str) -> Table:
    """A table without lines, under its title."""
    table = Table(
        title=f"\n{title}", title_justify="left", min_width=len(title), box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
