"""Text for CSV files that people open in a spreadsheet, which runs a cell that begins like a formula and shows control characters raw."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

FORMULA = r"^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""How a cell begins that a spreadsheet runs, the wide signs of Asian keyboards among them."""
NUMBER = r"^[+-]?(?:\d+(?:[.,]\d+)*\.?|\.\d+)(?:[eE][+-]?\d+)?\s*%?$"
CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{80}-\x{9F}]"
REPLACEMENT = "\ufffd"


def as_plain_cells(table: pa.Table) -> pa.Table:
    """Return a table whose texts no spreadsheet runs: an apostrophe stands before a formula, `\ufffd` for a control character.

    Numbers stay as they are, those in texts such as "-5" too; tabs and ends of lines within a text stay.
    """
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(index, field, _plain(table.column(index)))
    return table


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    runs = pc.and_(pc.match_substring_regex(column, FORMULA), pc.invert(pc.match_substring_regex(column, NUMBER)))
    quoted = pc.if_else(
        runs, pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type)), column
    )
    return pc.replace_substring_regex(quoted, CONTROL, REPLACEMENT)
