"""Finds the option that an answer chooses, as a reader would.

In order of precedence: the last statement of the answer ("the answer is (B)", a box, a correction), the last verdict or selection
("option B is correct", "I choose B"), a label that leads the answer or stands alone in its last line, the text of an option, and else the
only label that is mentioned and not denied. Repetitions are possessive or bounded, so that the time is linear in the length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from .choice_patterns import (
    ALONE,
    BEFORE_CHARACTERS,
    BUT,
    DENIED_AFTER,
    DENIED_BEFORE,
    DOUBTED,
    HEDGE,
    LEADING,
    MENTION,
    NEGATED,
    STATEMENTS,
    VERDICTS,
)
from .option_labels import OptionLabels

_REMOVED = str.maketrans(dict.fromkeys("*`$"))
_WIDE = str.maketrans(
    {0xFF21 + place: chr(0x41 + place) for place in range(26)} | {0xFF08: "(", 0xFF09: ")", 0xFF1A: ":"}
)
_WRAPPER = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mathsf)\s{0,9}\{")
_MARK_END = re.compile(r"answer(?:\s+is)?\s*+[:：]?\s*+(?:the\s+)?", re.IGNORECASE)
_BLANK = re.compile(r"\s{3,}")
_HEAD, _TAIL = 2_000, 10_000
"""Characters of a long text that are examined."""


def stated_choice(text: str, options: OptionLabels) -> str | None:
    """Find the letter of the option that an answer chooses; None without exactly one."""
    plain = _plain(text)
    for stage in (STATEMENTS, VERDICTS):
        decided, letter = _last_statement(plain, stage, options)
        if decided:
            return letter
    lines = [line for line in plain.splitlines() if line and not line.isspace()]
    if not lines:
        return None
    return (
        _by_text(plain, options, lines, is_whole=True)
        or _at_edge(lines, options)
        or _by_mention(text, plain, options, lines)
    )


def _plain(text: str) -> str:
    """Return the text without emphasis, long blanks and, where it is very long, its middle."""
    if len(text) > _HEAD + _TAIL:
        text = _BLANK.sub("\n\n", text)
        text = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n\n{text[-_TAIL:]}"
    if not text.isascii():
        text = text.translate(_WIDE)
    text = text.translate(_REMOVED).replace("__", "")
    return _WRAPPER.sub("{", text) if "\\" in text else text


def _last_statement(
    text: str, patterns: Iterable[tuple[Sequence[str], re.Pattern[str]]], options: OptionLabels
) -> tuple[bool, str | None]:
    """Return whether there is a statement, and the letter of the last one; None where it names two options."""
    lower, last, decided, letter = text.lower(), -1, False, None
    for words, pattern in patterns:
        if not any(word in lower for word in words):
            continue
        for match in pattern.finditer(text):
            if match.end() <= last:
                continue
            found = _stated(text, match, options)
            if found is not None:
                last, decided, letter = match.end(), True, found or None
    return decided, letter


def _stated(text: str, match: re.Match[str], options: OptionLabels) -> str | None:
    """Return the letter of a statement, "" where it names two options, None where it is none."""
    end, label = match.end(), _label(match)
    if _is_doubted(text, match):
        return None
    if label is None:  # "the answer is not A"
        instead = BUT.match(text, end)
        if instead is None:
            return None
        end, label = instead.end(), _label(instead)
    letter = options.letter(label) if label else None
    if letter is None or DENIED_AFTER.match(text, end):
        return None
    return "" if _is_hedged(text, end, letter, options) else letter


def _label(match: re.Match[str]) -> str | None:
    return next((group for group in match.groups() if group), None)


def _is_doubted(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - BEFORE_CHARACTERS) : match.start()]
    return DOUBTED.search(before) is not None


def _is_hedged(text: str, end: int, letter: str, options: OptionLabels) -> bool:
    hedge = HEDGE.match(text, end)
    other = options.letter(_label(hedge) or "-") if hedge else None
    return other is not None and other != letter


def _at_edge(lines: Sequence[str], options: OptionLabels) -> str | None:
    """Return the letter that stands alone in the last line, or else that leads the first or the last line."""
    last, first = _match_letter(ALONE, lines[-1], options), _match_letter(LEADING, lines[0], options)
    if last is not None and len(lines) > 1 and all(_match_letter(ALONE, line, options) for line in lines[-2:]):
        return last if len({_match_letter(ALONE, line, options) for line in lines[-2:]}) == 1 else None
    if last is not None:
        return last
    second = next((letter for line in lines[1:30] if (letter := _match_letter(LEADING, line, options))), None)
    if first is not None:
        return None if (first, second) == ("A", "B") or _is_hedged_line(lines[0], options) else first
    before = _match_letter(LEADING, lines[-2], options) if len(lines) > 1 else None
    return _match_letter(LEADING, lines[-1], options) if before is None else None


def _match_letter(pattern: re.Pattern[str], line: str, options: OptionLabels) -> str | None:
    match = pattern.match(line)
    label = _label(match) if match else None
    return options.letter(label) if label else None


def _is_hedged_line(line: str, options: OptionLabels) -> bool:
    match = LEADING.match(line)
    letter = _match_letter(LEADING, line, options)
    return match is not None and letter is not None and _is_hedged(line, match.end(1), letter, options)


def _by_text(plain: str, options: OptionLabels, lines: Sequence[str], *, is_whole: bool) -> str | None:
    """Return the letter of the option whose text is the answer, or what the answer states."""
    if not options.texts:
        return None
    whole = options.with_text(plain) if len(lines) == 1 else None
    if whole is not None or not is_whole:
        return whole
    marks = list(_MARK_END.finditer(plain))[-12:]
    for mark in reversed(marks):
        sentence = plain[mark.end() : mark.end() + 300]
        stated = options.with_text(sentence.split("\n", 1)[0]) or options.beginning(sentence)
        if stated is not None:
            return stated
    return options.with_text(lines[-1])


def _by_mention(text: str, plain: str, options: OptionLabels, lines: Sequence[str]) -> str | None:
    """Return the only option that is mentioned and not denied, by its text or by its label."""
    if options.texts:
        named = options.mentioned(lines[-1]) or options.mentioned(lines[0]) or options.mentioned(plain)
        if named is not None and not NEGATED.search(plain[:300]):
            return named
    letters = set(_mentioned(text[-_TAIL:], options))
    return letters.pop() if len(letters) == 1 else None


def _mentioned(text: str, options: OptionLabels) -> Iterator[str]:
    for match in MENTION.finditer(text):
        letter = options.letter(_label(match) or "-")
        if letter is None or DENIED_AFTER.match(text, match.end()):
            continue
        if not DENIED_BEFORE.search(text[max(0, match.start() - BEFORE_CHARACTERS) : match.start()]):
            yield letter
