"""The report as Markdown with the same tables, for a pull request, a notebook or an e-mail."""

from __future__ import annotations

import re
from dataclasses import replace

from ..ui.terminal import printable
from ..ui.text_table import TextTable
from .facts.gather import Facts
from .tables import not_ranked, not_whole, page_tables

SECTIONS = {
    "Results": ("models", "prompts", "compare model", "compare prompt_type", "compare tool_success_rate", "cells"),
    "Failures": ("failures", "unanswered"),
    "Instances": ("instances", "gates"),
    "Time": ("stages", "slowest"),
    "Tokens and cost": ("cost", "cached"),
}
_MARKUP = re.compile(r"([\\`*_\[\]~#!])")


def render_markdown(facts: Facts) -> str:
    """Render the report. Names and messages are escaped: they are neither Markdown nor HTML."""
    tables = page_tables(facts)
    lines = [
        f"# Run {as_text(facts.run_id)}",
        "",
        f"{facts.final:,} of {facts.total:,} samples have a final record.",
        "",
    ]
    for note in filter(None, (not_whole(facts), not_ranked(facts))):
        lines += [f"> {as_text(note)}", ""]
    for title, names in SECTIONS.items():
        present = [tables[name] for name in names if name in tables]
        if present:
            lines += [f"## {title}", "", *(_harmless(table).to_markdown() for table in present)]
    return "\n".join(lines)


def as_text(text: str) -> str:
    """Escape a text as one line that every Markdown renderer shows unchanged."""
    plain = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", plain)


def _harmless(table: TextTable) -> TextTable:
    cells = tuple(tuple(map(as_text, row)) for row in table.rows)
    return replace(table, title=as_text(table.title), columns=tuple(map(as_text, table.columns)), rows=cells)
