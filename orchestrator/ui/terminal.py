"""What people see. Every text from outside passes here on its way to a terminal: names of tasks, answers, what a server said.

A terminal obeys escape sequences, carriage returns and direction marks wherever they come from. Shown is what can be printed;
records, exports and JSON documents keep every character.
"""

from __future__ import annotations

import logging
import re
import traceback

import click
import orjson

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str) -> str:
    """`text` on one line; what steers a terminal is a space."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def say(text: str = "", *, err: bool = False) -> None:
    """Print one line."""
    click.echo(printable(text), err=err)


def say_json(document: object) -> None:
    """Print one JSON document: the same values to a program, and harmless to a terminal."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    click.echo(_UNPRINTABLE.sub(_escaped, text))


def _escaped(sign: re.Match[str]) -> str:
    """Outside ASCII a JSON document has signs in texts only, where an escape means the same."""
    found = sign[0]
    return found if found.isprintable() else f"\\u{ord(found):04x}" if ord(found) < 0x10000 else _pair(ord(found))


def _pair(point: int) -> str:
    high, low = divmod(point - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def say_lines(text: str, *, err: bool = False) -> None:
    """Print several lines."""
    for line in text.splitlines():
        say(line, err=err)


def say_traceback(error: BaseException) -> None:
    """Print what Python prints of an error that nobody expected."""
    say_lines("".join(traceback.format_exception(error)), err=True)


def tame_the_log() -> None:
    """Warnings that nobody configured logging for go to standard error: harmless, too."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PrintableFormatter())


class PrintableFormatter(logging.Formatter):
    """A line is a line: what is logged can neither steer the terminal that shows the file nor pretend to be a line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        return "\n".join(map(printable, super().formatException(ei).splitlines()))  # type: ignore[arg-type]
