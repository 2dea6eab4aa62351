"""Finds the number that an answer gives as its result, as a reader would.

In order of precedence: the last `\\boxed{…}`, the last "####" or statement of the answer ("the answer is …", "Answer: …"), and else the
result in the last passage that has one. Where a passage has several numbers, the result stands behind its last "=", or is the last one.
Passages are searched from the end and are short, so that the time is linear in the length of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from .numerals import Numeral, numeral_at, numerals
from .spelling import plain_spelling

_BOX = re.compile(r"\\boxed\s{0,9}\{")
_HASHES = "####"
_WORDS = ("answer", "Answer", "ANSWER")
_CHINESE_WORDS = ("\u7b54\u6848", "\u7b54\u3048")
_PASSAGE = 400
"""Characters of a passage behind a mark."""
_TAILS = (80, 320, 1_280)
"""Characters of the passages that are searched from the end, until one has a result."""
_SHORT_TAIL = 100
"""Characters at the end where most answers have their result."""
_BEFORE_DIGIT, _AFTER_DIGIT = 8, 60
"""Characters of a number before its first and behind its last digit, such as -US$ and "million"."""
_LONGEST_NUMBER = 600
_ASCII_DIGITS = "0123456789"
_OTHER_DIGITS = (*map(chr, range(0xFF10, 0xFF1A)), *map(chr, range(0x0660, 0x066A)), *"\u00bd\u00bc\u00be\u2153\u2154")
"""Full-width and Arabic digits, and fractions of one character."""
_NUMBER_CHARACTERS = frozenset("0123456789.,'{}\\%")
_DIGIT = re.compile(r"\d")
_MOST_MARKS = 12
"""Mentions of the word "answer" that are examined, from the end."""

_COPULA = (
    r"(?:is|are|was|equals?|would\ be|will\ be|should\ be|must\ be|comes\ (?:out\ )?to|becomes|turns\ out\ to\ be|=)"
)
_MARK = re.compile(
    rf"answers?\b[*_`\"')]{{0,4}}(?:\ ?\([^()\n]{{0,40}}\))?(?:\ (?:in|for|to)\ [\w ]{{1,30}}(?=:))?[*_`\"']{{0,4}}\s{{0,4}}"
    rf"(?:[:：=]|{_COPULA}(?![a-z])|[^.!?\n:=]{{1,80}}?\ {_COPULA}(?![a-z]))",
    re.IGNORECASE | re.VERBOSE,
)
_DIRECT_MARK = re.compile(r"answer[ *_`$({\\]{1,12}(?=[-\d$])", re.IGNORECASE)
_VERB_BEFORE = frozenset(
    ["to", "can", "could", "will", "would", "must", "should", "i", "we", "you", "they", "he", "she", "not", "and"]
)
"""Words before "answer" where it is a verb."""
_CHINESE_MARK = re.compile(
    r"\u7b54(?:\u6848|\u3048)[^\u3002\n:：=\u662f\u4e3a\u70ba\u306f]{0,20}(?:\u662f|\u4e3a|\u70ba|\u306f|[:：=])"
)
_NEGATION = re.compile(r"\s*(?:not|n't|never|neither|no longer)\b", re.IGNORECASE)
_INSTEAD = re.compile(r"\b(?:but|rather|instead|it is|it's|it should be)\b", re.IGNORECASE)
_LEAD = re.compile(
    r"(?:[\s*_`:=\"'>~({\[]|\\[(\[]|(?:approximately|about|around|roughly|exactly|simply|just|indeed"
    r"|therefore|thus|then|now|equal to|a total of|the number|only|at least|x|y|n|[a-z] ?=)(?![a-z]))*+",
    re.IGNORECASE,
)
"""What may stand between a mark and its number, beside a currency."""
_CONTINUES = re.compile(
    r"\s?[\w°%]{0,12}\s?(?:[-+*/x^]|plus|minus|times|divided by|multiplied by|of|more than|less than|fewer than)\s?[$(]{0,2}\d",
    re.IGNORECASE,
)
"""Behind a number that is an operand of an expression."""
_SENTENCE_END = re.compile(
    r"(?<!\d)[.!?](?=\s+[A-Z*#\\]|\s*$)|(?<=\d)[.!?](?=\s+[A-Z*#\\]|\s*$)|[。！？]|\n\s*\n|\n(?=[-*#A-Z])"
)
_CLAUSE = re.compile(
    r"[,;—]|[-+*/^]|\b(?:so|then|and|which|leav\w+|therefore|thus|but|giv\w+|mak\w+|get|that is)\b|=", re.IGNORECASE
)
_EXPRESSION_BEFORE = re.compile(
    r"(?:[\d)%]|\b(?:total|result|sum|cost|profit|value|amount|difference|product|average|mean))[\s*_$]{0,4}$",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"(?<!\\)\([^()]{0,120}\)")
_CORRECTION = re.compile(
    r"\b(?:wait|correction|oops|scratch that|let me correct|on second thought|i made an? (?:mistake|error)"
    r"|that(?:'s| is) (?:wrong|not right|incorrect))\b",
    re.IGNORECASE,
)


def stated_number(text: str) -> Numeral | None:
    """Find the number that an answer gives as its result; None where it has none."""
    if text.isascii() and not _has_digit(text):
        return None
    boxed = _boxed(text) if "\\boxed" in text else None
    if boxed is not None:
        return boxed
    end = _mark_end(text)
    if end is None:
        return _last_result(text)
    stated = _stated_after(text, end)
    return stated if stated is not None else _last_result(text)


def _boxed(text: str) -> Numeral | None:
    """Read the last box that has a number."""
    start = text.rfind("boxed")
    for _ in range(_MOST_MARKS):
        match = _BOX.match(text, start - 1) if start > 0 else None
        found = _result(plain_spelling(_content(text, match.end()))) if match else None
        if found is not None or start <= 0:
            return found
        start = text.rfind("boxed", 0, start)
    return None


def _content(text: str, start: int) -> str:
    """Return what stands between a brace before `start` and the brace that closes it."""
    depth = 1
    for place in range(start, min(len(text), start + _PASSAGE)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return text[start:place]
    return text[start : start + _PASSAGE]


def _mark_end(text: str) -> int | None:
    """Return where the last "####" or statement of the answer ends; None where the text has none."""
    hashes = text.rfind(_HASHES)
    for place in islice(_mentions(text), _MOST_MARKS):
        if place <= hashes:
            break
        end = _statement_end(text, place)
        if end is not None:
            return end
    return None if hashes < 0 else hashes + len(_HASHES)


def _mentions(text: str) -> Iterator[int]:
    """Yield the places of the word "answer", from the last one."""
    words = _WORDS if text.isascii() else (*_WORDS, *_CHINESE_WORDS)
    places = {word: text.rfind(word) for word in words}
    while (place := max(places.values())) >= 0:
        yield place
        word = next(word for word in words if places[word] == place)
        places[word] = text.rfind(word, 0, place)


def _statement_end(text: str, start: int) -> int | None:
    if text[start] == "\u7b54":
        match = _CHINESE_MARK.match(text, start)
        return match.end() if match else None
    if start and text[start - 1].isalnum():
        return None
    before = text[max(0, start - 8) : start].split()
    match = (
        None
        if before and before[-1].lower() in _VERB_BEFORE
        else _MARK.match(text, start) or _DIRECT_MARK.match(text, start)
    )
    return match.end() if match else None


def _stated_after(text: str, end: int) -> Numeral | None:
    """Return the number stated behind a mark: the first one, or the result of the expression or sentence that begins there."""
    passage = plain_spelling(_passage(text, end))
    rest = passage
    if (negated := _NEGATION.match(rest)) and (instead := _INSTEAD.search(rest, negated.end())):
        rest = rest[instead.end() :]
    correction = _CORRECTION.search(rest)
    if correction is not None:
        corrected = _result(_first_sentence(rest[correction.end() :].lstrip(" ,.:!")))
        if corrected is not None:
            return corrected
    return _first_stated(rest)


def _passage(text: str, start: int) -> str:
    """Return the passage behind `start`, or around the first number behind it."""
    passage = text[start : _number_end(text, start + _PASSAGE)]
    if _has_digit(passage):
        return passage
    digit = min((place for digit in _ASCII_DIGITS if (place := text.find(digit, start)) >= 0), default=None)
    return "" if digit is None else text[max(start, digit - _BEFORE_DIGIT) : _number_end(text, digit + _PASSAGE)]


def _number_end(text: str, place: int) -> int:
    """Return the first place from `place` where no number continues."""
    while place < len(text) and text[place] in _NUMBER_CHARACTERS:
        place += 1
    return place


def _first_stated(rest: str) -> Numeral | None:
    lead = _LEAD.match(rest)
    direct = numeral_at(rest, lead.end() if lead else 0)
    if direct is not None and not _CONTINUES.match(rest, direct.end):
        return direct
    sentence = _first_sentence(rest)
    return _result(sentence) or next(iter(numerals(rest)), None)


def _first_sentence(passage: str) -> str:
    for match in _SENTENCE_END.finditer(passage):
        if _DIGIT.search(passage, 0, match.start()):
            return passage[: match.start()]
    return passage


def _last_result(text: str) -> Numeral | None:
    """Return the result in the last passage that has one, or else the last number of any kind."""
    end = len(text)
    start = _number_start(text, end - _SHORT_TAIL)
    weak = _result(plain_spelling(text[start:]))
    if weak is not None:
        if not weak.is_reference:
            return weak
        end = start
    for size in _TAILS:
        digit = _last_digit(text, end)
        if digit < 0:
            break
        start = _number_start(text, digit - size)
        found = _result(plain_spelling(text[start : digit + _AFTER_DIGIT]))
        if found is not None and not found.is_reference:
            return found
        weak, end = weak or found, start
    return weak


def _last_digit(text: str, end: int) -> int:
    place = max(text.rfind(digit, 0, end) for digit in _ASCII_DIGITS)
    return place if text.isascii() else max(place, *(text.rfind(digit, 0, end) for digit in _OTHER_DIGITS))


def _number_start(text: str, place: int) -> int:
    """Return the last place up to `place` that is behind white space, or at least behind a digit group."""
    if place <= 0:
        return 0
    space = text.rfind(" ", max(0, place - _LONGEST_NUMBER), place)
    return space + 1 if space >= 0 else place


def _result(passage: str) -> Numeral | None:
    """Return the result among the numbers of a passage in plain spelling."""
    found = list(numerals(passage))
    if "/" in passage:
        found = [numeral for numeral in found if numeral.value is not None]
    last = next((numeral for numeral in reversed(found) if not numeral.is_reference), None)
    if last is None:
        return found[-1] if found else None
    if ")" in passage:
        last = _outside_asides(passage, found, last)
    return _behind_equals(passage, found, last) if "=" in passage else last


def _outside_asides(passage: str, found: Sequence[Numeral], last: Numeral) -> Numeral:
    """Return the last number that is not in brackets if the sentence of the last number has one."""
    aside = next((match for match in _ASIDE.finditer(passage) if match.start() < last.start < match.end()), None)
    if aside is None or passage[: aside.start()].rstrip().endswith(("=", "answer")):
        return last
    before = [numeral for numeral in found if numeral.end <= aside.start()]
    if not before or before[-1].is_reference or _SENTENCE_END.search(passage, before[-1].end, aside.start()):
        return last
    return before[-1]


def _behind_equals(passage: str, found: Sequence[Numeral], last: Numeral) -> Numeral:
    """Return the number behind the last "=" if `last` stands behind it in the same clause, as in "5 * 6 = 30 for 5 tickets"."""
    equals = passage.rfind("=", 0, last.start)
    if equals < 0:
        return last
    result = next(numeral for numeral in found if numeral.end > equals)
    between = passage[result.end : last.start]
    is_same = result is last or _CLAUSE.search(between) or _SENTENCE_END.search(passage, result.end, last.start)
    if (
        is_same
        or passage[equals + 1 : result.start].strip(" *_$(\n=-")
        or not _EXPRESSION_BEFORE.search(passage, 0, equals)
    ):
        return last
    return result


def _has_digit(text: str) -> bool:
    if text.isascii():
        return any(digit in text for digit in _ASCII_DIGITS)
    return _last_digit(text, len(text)) >= 0
