"""Rewrites the spellings of numbers that have a plain equivalent: LaTeX, Unicode signs and digits. Applied to short passages only."""

from __future__ import annotations

import re
import unicodedata

_SIGNS = str.maketrans({
    **dict.fromkeys("\u2212\u2012\u2013\ufe63\uff0d\u2010\u2011", "-"),
    **dict.fromkeys("\u00d7\u22c5\u00b7\u2217\u2715", "*"),
    **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2005", "\u202f"),
    **dict.fromkeys("\u2248\u2243\u2245\u21d2\u2192", "="),
    "\u2019": "'", "\u066b": ".", "\u066c": ",", "\u00f7": "/", "\u2044": "/", "\uff1a": ":", "\u8d1f": "-", "\u8ca0": "-",
})  # fmt: skip
"""All narrow spaces become one, U+202F, which separates groups of digits."""
_SUPERSCRIPT = re.compile("[\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_PLAIN_DIGITS = str.maketrans(
    "\u207a\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "+-0123456789"
)
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e]")
_WIDE = re.compile("[\uff0b\uff05\uff04\uff0c\uff0e\uff10-\uff19\uff1d]")

_FRACTION = re.compile(r"(\d?)\s?\\[dtc]?frac\s?(?:\{\s?(-?[\d.]+)\s?\}|(\d))\s?(?:\{\s?([\d.]+)\s?\}|(\d))")
_GROUPING = re.compile(r"(?<=\d)(?:\{,\}|\\[,!;: ]|\{\\[,;: ]\}|~)(?=\d{3})")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|boxed|fbox|underline|bm)\s?\{")
_POWER = re.compile(r"\^\s?\{\s?([-+]?\d+)\s?\}")
_COMMANDS = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|[,;:! ()\[\]])|\^\s?\{?\\circ\}?")
_OPERATORS = re.compile(
    r"\\(?:times|cdot|ast)(?![a-z])|\\(?:approx|simeq|Rightarrow|implies|to|rightarrow)(?![a-z])|\\([$%])|\\div(?![a-z])"
)


def plain_spelling(text: str) -> str:
    """Rewrite LaTeX and Unicode spellings of numbers, signs and operators in ASCII."""
    if not text.isascii():
        text = _from_unicode(text)
    return _from_latex(text) if "\\" in text or "{" in text else text


def _from_unicode(text: str) -> str:
    text = _SUPERSCRIPT.sub(lambda match: "^" + match.group().translate(_PLAIN_DIGITS), text)
    text = _VULGAR.sub(lambda match: f" {unicodedata.normalize('NFKC', match.group())} ", text)
    text = _WIDE.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    return text.translate(_SIGNS)


def _from_latex(text: str) -> str:
    text = _GROUPING.sub(",", text)
    text = _WRAPPER.sub(" {", text)
    text = _FRACTION.sub(_fraction, text)
    text = _OPERATORS.sub(_operator, text)
    text = _POWER.sub(r"^\1", text)
    text = _COMMANDS.sub(" ", text)
    return text.replace("{", " ").replace("}", " ")


def _fraction(match: re.Match[str]) -> str:
    whole, above, below = match.group(1), match.group(2) or match.group(3), match.group(4) or match.group(5)
    return f"{whole} {above}/{below}" if whole else f"{above}/{below}"


def _operator(match: re.Match[str]) -> str:
    if match.group(1):
        return match.group(1)
    name = match.group()
    return "*" if name in {r"\times", r"\cdot", r"\ast"} else "/" if name == r"\div" else "="
