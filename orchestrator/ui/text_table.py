"""A table of texts as Markdown, LaTeX or HTML. Texts are escaped for each format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from .terminal import printable

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "−": r"$-$",
        "–": "--",
        "×": r"$\times$",
    }
)
MARKDOWN = str.maketrans({"|": r"\|", "<": r"\<"})


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of formatted cells; the first `keys` columns are names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: int = 1

    def to_markdown(self) -> str:
        """Format the table as Markdown, with its title above."""
        ruler = ["---" if index < self.keys else "---:" for index in range(len(self.columns))]
        lines = [self.columns, tuple(ruler), *self.rows]
        body = "\n".join(
            "| " + " | ".join(printable(cell).translate(MARKDOWN) for cell in line) + " |" for line in lines
        )
        return f"**{printable(self.title).translate(MARKDOWN)}**\n\n{body}\n"

    def to_latex(self) -> str:
        """Format the table as LaTeX for the package `booktabs`."""
        shape = "l" * self.keys + "r" * (len(self.columns) - self.keys)
        body = "\n".join(_latex_line(row) for row in self.rows)
        head = f"\\begin{{tabular}}{{{shape}}}\n\\toprule\n{_latex_line(self.columns)}\n\\midrule\n"
        caption = f"\\caption{{{_latex(self.title)}}}\n"
        return f"\\begin{{table}}\n\\centering\n{caption}{head}{body}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"

    def to_html(self) -> str:
        """Format the table as an HTML fragment, as a notebook shows it."""
        head = "".join(f"<th>{_html(name)}</th>" for name in self.columns)
        body = "\n".join(f"<tr>{''.join(map(self._html_cell, range(len(row)), row))}</tr>" for row in self.rows)
        return (
            f"<table>\n<caption>{_html(self.title)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
        )

    def _html_cell(self, index: int, cell: str) -> str:
        side = "left" if index < self.keys else "right"
        return f'<td style="text-align: {side}">{_html(cell)}</td>'


def _latex_line(cells: Iterable[str]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    return printable(text).translate(LATEX)


def _html(text: str) -> str:
    return escape(printable(text))
