"""Printing to a terminal. Every text from outside passes through here: names of tasks, answers, messages of servers.

A terminal executes escape sequences, carriage returns and direction marks from any source, so only printable characters are shown.
Records, exports and JSON documents keep every character.
"""

from __future__ import annotations

import logging
import re
import traceback

import click
import orjson

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str) -> str:
    """Return `text` on one line, with a space for every character that is not printable."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def say(text: str = "", *, err: bool = False) -> None:
    """Print one line."""
    click.echo(printable(text), err=err)


def say_json(document: object) -> None:
    """Print one JSON document; characters that a terminal may execute are escaped, which does not change the values."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    click.echo(_UNPRINTABLE.sub(_escaped, text))


def _escaped(sign: re.Match[str]) -> str:
    """Escape an unprintable character; outside ASCII, JSON has characters only in texts, where an escape is equivalent."""
    char = sign[0]
    return char if char.isprintable() else f"\\u{ord(char):04x}" if ord(char) < 0x10000 else _pair(ord(char))


def _pair(point: int) -> str:
    high, low = divmod(point - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def say_lines(text: str, *, err: bool = False) -> None:
    """Print several lines."""
    for line in text.splitlines():
        say(line, err=err)


def say_traceback(error: BaseException) -> None:
    """Print the traceback of an unexpected error."""
    say_lines("".join(traceback.format_exception(error)), err=True)


def tame_the_log() -> None:
    """Make log messages printable where logging is not configured and they go to standard error."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PrintableFormatter())


class PrintableFormatter(logging.Formatter):
    """A formatter that makes each message one printable line, so that logged text can neither control a terminal nor imitate a line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Format the message as one printable line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        """Format the traceback as printable lines."""
        return "\n".join(map(printable, super().formatException(ei).splitlines()))  # type: ignore[arg-type]
