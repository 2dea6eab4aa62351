"""`python -m tests.integration.faults`: try out every fault and print what came of it as Markdown."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from .statuses import status_faults
from .table import GROUPS
from .trial import Ended, try_all

COLUMNS = ("fault", "branch", "outcome", "class", "HTTP", "attempts", "raw", "what the user reads")


def table(title: str, ended: Sequence[Ended]) -> str:
    """One row per fault; where the transports differ, one per transport."""
    lines = [f"\n### {title}\n", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for _, group in groupby(ended, lambda one: one.fault.name):
        rows = list(group)
        are_alike = len({tuple(_cells(one)[:-1]) for one in rows}) == 1 < len(rows)
        lines += [
            _line(one.fault.name if are_alike else f"{one.fault.name} ({one.transport})", _cells(one))
            for one in (rows[:1] if are_alike else rows)
        ]
    return "\n".join(lines)


def _cells(one: Ended) -> list[str]:
    record = one.record
    status, attempts, raw = (record.status, record.attempts, record.raw_response) if record else ("-", "-", None)
    return [
        one.branch,
        one.outcome,
        one.error_class,
        str(status or "-"),
        str(attempts),
        "yes" if raw else "-",
        one.sentence,
    ]


def _line(name: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([name, *(cell.replace("|", "\\|")[:150] for cell in cells)]) + " |"


def status_table(ended: Mapping[str, Sequence[Ended]]) -> str:
    """One row per status: the branch by the style of the body, and what the user reads of the first."""
    lines = [
        "\n### Statuses\n",
        "| HTTP | " + " | ".join(ended) + " | what the user reads |",
        "|" + "---|" * (len(ended) + 2),
    ]
    lines += [
        _line(str(row[0].fault.status), [*(one.branch for one in row), row[0].sentence])
        for row in zip(*ended.values(), strict=True)
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the tables and how often every class occurs."""
    groups = {title: asyncio.run(try_all(faults)) for title, faults in GROUPS.items()}
    styles = {style: asyncio.run(try_all(faults)) for style, faults in status_faults().items()}
    counts = Counter(
        f"{one.outcome} {one.error_class}" for ended in (*groups.values(), *styles.values()) for one in ended
    )
    sys.stdout.writelines(table(title, ended) + "\n" for title, ended in groups.items())
    sys.stdout.write(
        status_table({style: [one for one in ended if one.transport == "native"] for style, ended in styles.items()})
        + "\n"
    )
    sys.stdout.write("\n| outcome, class | trials |\n|---|---|\n")
    sys.stdout.writelines(f"| {name} | {count} |\n" for name, count in sorted(counts.items()))


main()
