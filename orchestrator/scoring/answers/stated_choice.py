"""Finds the option that an answer chooses, as a reader would.

In order of precedence: the last statement of the answer ("the answer is (B)", a box, a correction), the last verdict or selection
("option B is correct", "I choose B"), a label that leads the answer or stands alone in its last line, the text of an option, and else the
only label that is mentioned and not denied. Repetitions are possessive or bounded, so that the time is linear in the length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

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
from .places import LoweredText, Places, ends_with_letter, has_label, lowered, matches_at, mentions

_REMOVED = ("*", "`", "$", "__")
_WIDE = str.maketrans(
    {0xFF21 + place: chr(0x41 + place) for place in range(26)} | {0xFF08: "(", 0xFF09: ")", 0xFF1A: ":"}
)
_WRAPPER = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mathsf)\s{0,9}\{")
_MARK_END = re.compile(r"answer(?:\s+is)?\s*+[:：]?\s*+(?:the\s+)?", re.IGNORECASE)
_MOST_MARKS = 12
_FIRST = 30
"""Lines at the start that are examined for a label before them."""
_BLANK = re.compile(r"\s{3,}")
_HEAD, _TAIL = 2_000, 10_000
"""Characters of a long text that are examined."""


class StatedChoice(NamedTuple):
    """The option that an answer chooses."""

    letter: str
    read: str
    """The label or the text by which the answer names it."""
    is_text: bool = False
    """Whether `read` is the option's text."""


def stated_choice(text: str, options: OptionLabels) -> StatedChoice | None:
    """Find the option that an answer chooses; None without exactly one."""
    plain = _plain(text)
    whole = lowered(plain, digits=options.has_numbers)
    is_labelled = has_label(plain, digits=whole.digits)
    for stage in (STATEMENTS, VERDICTS) if is_labelled else ():
        decided, label = _last_statement(whole, stage, options)
        if decided:
            return _labelled(label, options)
    lines = [line for line in plain.splitlines() if line and not line.isspace()]
    if not lines:
        return None
    is_named = options.are_mentioned(plain)
    return (
        _named(_by_text(whole, options, lines) if is_named or options.has_blank else None, options)
        or _labelled(_at_edge(lines, options) if is_labelled or _has_lone_letter(lines) else None, options)
        or _named(_by_name(plain, options, lines) if is_named else None, options)
        or _labelled(_by_mention(text, options), options)
    )


def _labelled(label: str | None, options: OptionLabels) -> StatedChoice | None:
    letter = options.letter(label) if label else None
    return StatedChoice(letter, label.upper()) if label and letter else None


def _named(letter: str | None, options: OptionLabels) -> StatedChoice | None:
    return StatedChoice(letter, options.text_of(letter), is_text=True) if letter else None


def _has_lone_letter(lines: Sequence[str]) -> bool:
    return any(map(ends_with_letter, (*lines[:_FIRST], *lines[-2:])))


def _plain(text: str) -> str:
    """Return the text without emphasis, long blanks and, where it is very long, its middle."""
    if len(text) > _HEAD + _TAIL:
        text = _BLANK.sub("\n\n", text)
        text = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n\n{text[-_TAIL:]}"
    if not text.isascii():
        text = text.translate(_WIDE)
    for emphasis in _REMOVED:
        text = text.replace(emphasis, "")
    return _WRAPPER.sub("{", text) if "\\" in text else text


def _last_statement(
    text: LoweredText, patterns: Iterable[tuple[Places, re.Pattern[str]]], options: OptionLabels
) -> tuple[bool, str | None]:
    """Return whether there is a statement, and the label of the last one; None where it names two options."""
    last, decided, label = -1, False, None
    for places, pattern in patterns:
        matches = list(matches_at(pattern, text.text, places(text)))
        while matches and (match := matches.pop()).end() > last:
            stated = _stated(text.text, match, options)
            if stated is not None:
                last, decided, label = match.end(), True, stated or None
                if not has_label(text.text[last:], digits=text.digits):
                    return decided, label
    return decided, label


def _stated(text: str, match: re.Match[str], options: OptionLabels) -> str | None:
    """Return the label of a statement, "" where it names two options, None where it is none."""
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
    return "" if _is_hedged(text, end, letter, options) else label


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
    """Return the label that stands alone in the last line, or else that leads the first or the last line."""
    last, first = _match_label(ALONE, lines[-1], options), _match_label(LEADING, lines[0], options)
    if last is not None:
        above = _match_label(ALONE, lines[-2], options) if len(lines) > 1 else None
        return last if above is None or options.letter(above) == options.letter(last) else None
    second = next((label for line in lines[1:_FIRST] if (label := _match_label(LEADING, line, options))), None)
    if first is not None:
        is_list = (options.letter(first), options.letter(second or "-")) == ("A", "B")
        return None if is_list or _is_hedged_line(lines[0], options) else first
    before = _match_label(LEADING, lines[-2], options) if len(lines) > 1 else None
    return _match_label(LEADING, lines[-1], options) if before is None else None


def _match_label(pattern: re.Pattern[str], line: str, options: OptionLabels) -> str | None:
    match = pattern.match(line)
    label = _label(match) if match else None
    return label if label and options.letter(label) else None


def _is_hedged_line(line: str, options: OptionLabels) -> bool:
    match = LEADING.match(line)
    label = _match_label(LEADING, line, options)
    letter = options.letter(label) if label else None
    return match is not None and letter is not None and _is_hedged(line, match.end(1), letter, options)


def _by_text(whole: LoweredText, options: OptionLabels, lines: Sequence[str]) -> str | None:
    """Return the letter of the option whose text is the answer, or what the answer states."""
    letter = options.with_text(whole.text) if len(lines) == 1 else None
    if letter is not None:
        return letter
    for end in _mark_ends(whole):
        sentence = whole.text[end : end + 300]
        beginning = options.beginning(sentence)
        if beginning is None and not options.has_blank:
            continue
        stated = options.with_text(sentence.split("\n", 1)[0]) or beginning
        if stated is not None:
            return stated
    return options.with_text(lines[-1])


def _mark_ends(whole: LoweredText) -> Iterator[int]:
    """Yield where the last mentions of the word "answer" end, from the last one."""
    place = whole.lower.rfind("answer")
    for _ in range(_MOST_MARKS):
        mark = _MARK_END.match(whole.text, place) if place >= 0 else None
        if mark is None:
            return
        yield mark.end()
        place = whole.lower.rfind("answer", 0, place)


def _by_name(plain: str, options: OptionLabels, lines: Sequence[str]) -> str | None:
    """Return the only option whose text is mentioned, if nothing is denied at the start."""
    named = options.mentioned(lines[-1]) or options.mentioned(lines[0]) or options.mentioned(plain)
    return None if named is None or NEGATED.search(plain[:300]) else named


def _by_mention(text: str, options: OptionLabels) -> str | None:
    """Return the only label that is mentioned and not denied."""
    labels = {options.letter(label): label for label in _mentioned(text[-_TAIL:], options)}
    return labels.popitem()[1] if len(labels) == 1 else None


def _mentioned(text: str, options: OptionLabels) -> Iterator[str]:
    for match in matches_at(MENTION, text, mentions(text)):
        label = _label(match)
        if label is None or options.letter(label) is None or DENIED_AFTER.match(text, match.end()):
            continue
        if not DENIED_BEFORE.search(text[max(0, match.start() - BEFORE_CHARACTERS) : match.start()]):
            yield label
