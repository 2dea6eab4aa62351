"""Numbers as they are written: signs, currencies, groups of digits, fractions, powers of ten, percentages and magnitudes.

Every pattern is possessive or bounded, so that the time is linear in the length of the passage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, Overflow
from typing import NamedTuple

_MAGNITUDES: Mapping[str, int] = {
    "hundred": 2, "thousand": 3, "k": 3, "million": 6, "m": 6, "mn": 6, "billion": 9, "b": 9, "bn": 9, "trillion": 12,
    "lakh": 5, "crore": 7, "\u767e": 2, "\u5343": 3, "\u4e07": 4, "\u842c": 4, "\u4ebf": 8, "\u5104": 8,
}  # fmt: skip
"""Words and signs behind a number, as powers of ten."""
_CURRENCY = r"(?:(?:US|CA|AU|HK)?[$\u20ac\u00a3\u00a5\u20b9]|(?:USD|EUR|GBP|CNY|RMB|INR|JPY|Rs\.?)\ ?)"
_DIGITS = r"""(?:
      \d++(?![.,'\u202f\ ]\d)
    | \d{1,3}(?:,\d{3})++(?!\d)(?:\.\d++)?
    | \d{1,2}(?:,\d\d(?=,))++,\d{3}(?!\d)(?:\.\d++)?
    | \d{1,3}(?:['\u202f]\d{3})++(?!\d)(?:[.,]\d++)?
    | \d{1,3}(?:\ \d{3}){2,}+(?!\d)(?:[.,]\d++)?
    | (?:(?<=[=:$*{])|(?<=[=:]\ )|(?<=is\ )|^)\d{1,3}\ \d{3}(?![\d,/])(?:\.\d++)?
    | \d{1,3}(?:\.\d{3}){2,}+(?!\d)(?:,\d++)?
    | \d{1,3}(?:\.\d{3})++,\d{1,2}(?!\d)
    | (?<!\d,)\d++,\d{1,2}(?![\d,])
    | \d++(?:\.\d++)?
    | (?<!\d)\.\d++
)"""
_NUMERAL = re.compile(
    rf"""
    (?P<digits>{_DIGITS})
    (?:\ (?P<above>\d{{1,3}})/(?P<below>\d{{1,3}})(?![\d/]))?
    (?P<exponent>[eE][-+]?\d++)?
    (?:/(?P<divisor>\d++(?:\.\d++)?)(?![\d/]))?
    (?:\ ?[*x]\ ?10\^\(?(?P<scale>[-+]?\d++)\)?|\^\(?(?P<power>[-+]?\d{{1,3}})\)?(?!\d))?
    (?:\ ?(?P<magnitude>hundred|thousand|million|billion|trillion|lakh|crore|mn|bn)s?(?![A-Za-z])
     |(?P<letter>[kKMB])(?![\w])|\ ?(?P<sign_of_ten>[\u767e\u5343\u4e07\u842c\u4ebf\u5104]{{1,2}}))?
    (?P<percent>\ ?(?:%|percent(?![a-z])|per\ cent(?![a-z])))?
    (?P<ordinal>(?:st|nd|rd|th)(?![A-Za-z]))?
    """,
    re.VERBOSE,
)
_DIGIT = re.compile(r"\d")
_RUN = re.compile(r"[\d.,]*+")
_PREFIX = re.compile(
    rf"(?:^|(?<![A-Za-z0-9_)\]%]))(?:(?P<minus>-)|\+)?{_CURRENCY}?(?:(?P<inner>-)|\+)?$|(?:(?<==\ )|(?<=^))(?P<apart>-)\ {_CURRENCY}?$"
    rf"|(?:^|(?<!\d)(?<!\d\ )\b)(?P<word>minus|negative)\ {_CURRENCY}?$",
    re.IGNORECASE,
)
_PREFIX_ENDS = frozenset("-+$\u20ac\u00a3\u00a5\u20b9. ")
"""What the text before a number ends with if it can hold a sign."""
_PREFIX_CHARACTERS = 14
_PREFIX_ONLY = re.compile(rf"(?:[-+]\ ?|minus\ |negative\ )?{_CURRENCY}?[-+]?", re.IGNORECASE)
_JOINED = frozenset("_^")
_CODE = re.compile(r"(?<![A-Za-z])(?:USD|EUR|GBP|CNY|RMB|INR|JPY|Rs|US)$", re.IGNORECASE)
_LONGEST = 120
_REFERENCES = frozenset({
    "step", "steps", "question", "problem", "part", "section", "equation", "eq.", "eq", "figure", "fig.", "fig", "table", "page", "chapter",
    "line", "case", "method", "option", "example", "note", "rule", "exercise", "no.", "\u7b2c",
})  # fmt: skip
"""Words before a number that is no result."""
_LIST_MARK = re.compile(r"(?:^|\n)[ \t*#]*+$")
_REFERENCE_CHARACTERS = 12
"""The most characters before a number that can make it a reference."""


class Numeral(NamedTuple):
    """A number in a passage."""

    match: re.Match[str]

    @property
    def start(self) -> int:
        """The place of the first digit."""
        return self.match.start()

    @property
    def end(self) -> int:
        """The place behind the number and its unit of magnitude."""
        return self.match.end()

    @property
    def is_percent(self) -> bool:
        """Whether it is written as a percentage."""
        return self.match["percent"] is not None

    @property
    def is_reference(self) -> bool:
        """Whether it names a step, a rank or an item of a list: no result."""
        passage, start, end = self.match.string, self.start, self.end
        before = passage[max(0, start - _REFERENCE_CHARACTERS) : start]
        words = before.rstrip("#( ").split()
        if (
            self.match["ordinal"] is not None
            or (words and words[-1].lower() in _REFERENCES)
            or before.endswith("\u7b2c")
        ):
            return True
        return passage[end : end + 2] in {". ", ") "} and _LIST_MARK.search(before) is not None

    @property
    def value(self) -> Decimal | None:
        """The value; None where there is none, as of 1/0."""
        try:
            return -_value(self.match) if _has_minus(self.match.string, self.start) else _value(self.match)
        except Overflow:  # a model may write 1e9999999
            return Decimal("Infinity")
        except (ArithmeticError, ValueError):
            return None


def numerals(passage: str) -> Iterator[Numeral]:
    """Yield the numbers of a passage in plain spelling. Digits that belong to a word, a power or an index are left out."""
    digit = _DIGIT.search(passage)
    while digit is not None:
        start = digit.start()
        start -= start > 0 and passage[start - 1] == "." and not passage[start - 2 : start - 1].isalnum()
        match = _NUMERAL.match(passage, start) if _begins_number(passage, start) else None
        if match is not None:
            yield Numeral(match)
            end = match.end()
        else:
            run = _RUN.match(passage, start)
            end = run.end() if run else start
        digit = _DIGIT.search(passage, end)


def _begins_number(passage: str, start: int) -> bool:
    before = passage[start - 1 : start]
    if before == " " or not before:
        return True
    if before in _JOINED:
        return False
    return not (before.isascii() and before.isalpha()) or _CODE.search(passage, max(0, start - 4), start) is not None


def numeral_at(passage: str, place: int) -> Numeral | None:
    """Return the number that begins at `place`, its sign and currency included; None where none does."""
    numeral = next(numerals(passage[place : place + _LONGEST]), None)
    return numeral if numeral and _PREFIX_ONLY.fullmatch(numeral.match.string, 0, numeral.start) else None


def _has_minus(passage: str, start: int) -> bool:
    if start == 0 or passage[start - 1] not in _PREFIX_ENDS:
        return False
    before = passage[max(0, start - _PREFIX_CHARACTERS) : start]
    prefix = _PREFIX.search(before) if "-" in before or _has_word(before.lower()) else None
    return prefix is not None and any(prefix.group("minus", "inner", "apart", "word"))


def _has_word(before: str) -> bool:
    return "minus " in before or "negative " in before


def _value(match: re.Match[str]) -> Decimal:
    value = _digits(match["digits"])
    if match.end() == match.end("digits"):
        return value
    if match["exponent"]:
        value *= Decimal(f"1{match['exponent']}")
    if match["above"]:
        value += Decimal(match["above"]) / Decimal(match["below"])
    if match["divisor"]:
        value /= Decimal(match["divisor"])
    if match["scale"]:
        value = value.scaleb(int(match["scale"]))
    if match["power"]:
        value **= int(match["power"])
    return value.scaleb(_magnitude(match))


def _magnitude(match: re.Match[str]) -> int:
    if match["sign_of_ten"]:
        return sum(_MAGNITUDES[sign] for sign in match["sign_of_ten"])
    name = match["magnitude"] or match["letter"]
    return _MAGNITUDES[name.lower()] if name else 0


def _digits(digits: str) -> Decimal:
    """Read digits whose groups are separated by commas, points, spaces or apostrophes, with a decimal point or comma."""
    if digits.isdigit():
        return Decimal(digits)
    digits = digits.replace("'", "").replace("\u202f", "").replace(" ", "")
    point, comma = digits.rfind("."), digits.rfind(",")
    if comma > point >= 0 or digits.count(".") > 1:  # 1.234,5 and 1.234.567
        digits = digits.replace(".", "").replace(",", ".")
    elif point < 0 <= comma and digits.count(",") == 1 and len(digits) - comma <= 3:
        digits = digits.replace(",", ".")
    return Decimal(digits.replace(",", ""))
