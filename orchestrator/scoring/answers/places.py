"""The places of a text where a pattern can begin, found by plain search for its words.

A pattern that is tried at every character of a text is slow. One that is tried only at these places finds the same matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

_UNUSUAL = (("\u0130", "i"), ("\u0131", "i"), ("\u017f", "s"))
"""Letters that patterns take for ASCII letters, and that `str.lower` does not turn into them."""
_ADJECTIVES = (
    "correct", "right", "best", "final", "my", "chosen", "appropriate", "valid", "suitable", "accurate", "only", "the",
)  # fmt: skip
_QUALIFIED = ("option", "choice", "response", "letter", "one", "selection")
_VERDICTS = ("correct", "right", "best", "true", "answer", "accurate", "appropriate")
_VERBS = ("is", "seems", "looks", "be", "appears")
_ADVERBS = (
    "therefore", "thus", "clearly", "definitely", "indeed", "the", "a", "most", "only", "hence", "likely", "probably", "obviously",
)  # fmt: skip
_LABELLED = ("option", "choice", "answer", "statement")
_LABEL_END = r"(?![A-Za-z\d'’_^])"
_CAPITAL = re.compile(rf"[A-Z]{_LABEL_END}")
_DIGIT = re.compile(r"\d")
_CAPITAL_OR_DIGIT = re.compile(
    r"[A-Z\d](?=\d?[)\]]?(?:\s?\(|[.):]\s|\s+(?i:is|seems|looks|must|would|has|appears)))(?<![\w'’].)"
)
_MENTIONED = re.compile(r"[A-Z](?!\w)(?<![\w'’].)")
_SMALL = re.compile(r"[)\].*:,}](?:(?<=[^\w'’][a-z].)|(?<=^[a-z].))")
_CLAUSE_END = r"(?=\s*+[)\]}]?\s*+(?:[.,;:!?\n(—–-]|$|(?i:because|since|as|for|given|due|is|which|based)\b))"
_CAPITAL_BEFORE_END = re.compile(rf"[A-Z]{_CLAUSE_END}(?<![A-Za-z].)")
_DIGIT_BEFORE_END = re.compile(rf"\d{_CLAUSE_END}")
_SMALL_BEFORE_END = re.compile(r"[)\].*:,}](?:(?<=[^A-Za-z][a-z].)|(?<=^[a-z].))")
_SELECTIONS = (
    "choose", "chose", "pick", "select", "go", "opt", "settle", "guess", "say", "leav", "must", "has", "point", "correspond", "matches",
    "so", "thus", "therefore", "hence", "it",
)  # fmt: skip
_SELECTION_ENDS = (
    "choose", "chose", "pick", "select", "selected", "with", "for", "on", "guess", "say", "leave", "leaves", "leaving", "us", "only", "be",
    "to", "matches", "so", "thus", "therefore", "hence", "is", "'s",
)  # fmt: skip
_FILLED = (
    "likely", "most", "probably", "definitely", "clearly", "indeed", "actually", "still", "simply", "just", "obviously", "certainly", "the",
    "option", "choice", "letter", "answer", "statement", "number", "correct", "best", "选项", "選項",
)  # fmt: skip
_OPEN = "_([（「【{\"'“‘:：>,\\"
"""What may stand between a word of selection and its label, beside white space."""


class LoweredText(NamedTuple):
    """A text, and the same in small letters, character by character."""

    text: str
    lower: str
    digits: bool = False
    """Whether a digit may be a label."""


Places = Callable[[LoweredText], Iterable[int]]
"""Returns, in order, every place where a pattern can begin, and maybe others."""


def lowered(text: str, *, digits: bool) -> LoweredText:
    """Return the text with its small letters; both have the same length. `digits` tells that a digit may be a label."""
    lower = text
    if not text.isascii():
        for letter, plain in _UNUSUAL:
            lower = lower.replace(letter, plain)
    return LoweredText(text, lower.lower(), digits)


def matches_at(pattern: re.Pattern[str], text: str, places: Iterable[int]) -> Iterator[re.Match[str]]:
    """Yield the matches that begin at one of the places and do not overlap, as `finditer` does."""
    end = 0
    for place in places:
        match = pattern.match(text, place) if place >= end else None
        if match is not None:
            end = match.end()
            yield match


def words(*given: str) -> Places:
    """Build the places of some words."""

    def places(text: LoweredText) -> list[int]:
        found = [place for word in given for place in _all(text.lower, word)]
        return sorted(found) if len(found) > 1 else found

    return places


def nouns(text: LoweredText) -> list[int]:
    """Return the places of "answer", "solution", and of "the option", "my choice" and so on."""
    found = [place for word in ("answer", "solution") for place in _all(text.lower, word)]
    for noun in _QUALIFIED:
        for place in _all(text.lower, noun):
            found += _word_before(text.lower, place, _ADJECTIVES)
    return sorted(found)


def labels_with_verdict(text: LoweredText) -> list[int]:
    """Return the places of labels, with "option" before them, in a text with a verdict such as "is correct"."""
    if not _has_verdict(text.lower):
        return []
    labels = [match.start() for match in _CAPITAL_OR_DIGIT.finditer(text.text)]
    labels += [match.start() - 1 for match in _SMALL.finditer(text.text)]
    found: list[int] = []
    for label in labels:
        start = label - 1 if label and text.text[label - 1] in "([" else label
        found += {start, label}
        found += _word_before(text.lower, start, _LABELLED)
    return sorted(found)


def selections(text: LoweredText) -> Iterable[int]:
    """Return the places of "choose", "so", "it is" and so on, in a text with a label behind such a word and before the end of a clause."""
    labels = chain(
        (match.start() for match in _CAPITAL_BEFORE_END.finditer(text.text)),
        (match.start() for match in (_DIGIT_BEFORE_END.finditer(text.text) if text.digits else ())),
        (match.start() - 1 for match in _SMALL_BEFORE_END.finditer(text.text)),
    )
    is_selected = any(_follows_selection(text.lower, label) for label in labels) or ends_with_letter(text.text)
    return _selection_words(text) if is_selected else ()


def _follows_selection(lower: str, place: int) -> bool:
    """Return whether a word of selection may stand before a label."""
    place -= place > 0 and lower[place - 1].isdigit()
    while place > 0:
        before = lower[place - 1]
        if before.isspace() or before in _OPEN:
            place -= 1
            continue
        if lower.endswith(_SELECTION_ENDS, 0, place):
            return True
        if not lower.endswith(_FILLED, 0, place):
            return False
        place -= next(len(word) for word in _FILLED if lower.endswith(word, 0, place))
    return False


def has_label(text: str, *, digits: bool) -> bool:
    """Return whether a label may stand in a text: a letter that is no part of a word, or a digit if `digits` may be labels."""
    return _CAPITAL.search(text) is not None or (digits and _DIGIT.search(text) is not None) or _has_small_label(text)


def _has_small_label(text: str) -> bool:
    return _SMALL_BEFORE_END.search(text) is not None or ends_with_letter(text)


def ends_with_letter(text: str) -> bool:
    """Return whether a text ends with a small letter that is no part of a word."""
    end = text.rstrip()[-2:]
    return end[-1:].islower() and not (len(end) > 1 and end[0].isascii() and end[0].isalpha())


def mentions(text: str) -> list[int]:
    """Return the places of capitals that are no part of a word, with the brackets and the emphasis before them."""
    found: list[int] = []
    for match in _MENTIONED.finditer(text):
        label = match.start()
        found += (label - len(before) for before in _BEFORE_MENTION if text.endswith(before, 0, label))
    return sorted(found)


_BEFORE_MENTION = ("", "(", "**", "**(")


def _has_verdict(lower: str) -> bool:
    return any(_follows_verb(lower, place) for word in _VERDICTS for place in _all(lower, word))


def _follows_verb(lower: str, place: int) -> bool:
    """Return whether a verb stands before a place, with any adverbs between."""
    while place > 1 and lower[place - 1].isspace():
        end = place - 1
        if lower.endswith(_VERBS, 0, end):
            return True
        adverb = next((word for word in _ADVERBS if lower.endswith(word, 0, end)), None)
        if adverb is None:
            return False
        place = end - len(adverb)
    return False


def chinese_selections(text: LoweredText) -> Iterable[int]:
    """Return the places of 选 and of the words before it."""
    return _chinese_words(text) if "选" in text.text or "選" in text.text else ()


def chinese_verdicts(text: LoweredText) -> list[int]:
    """Return the places shortly before a verdict such as 正确."""
    if text.text.isascii():
        return []
    verdicts = [place for word in ("正确", "正確", "对的", "對的") for place in _all(text.text, word)]
    return sorted({place for verdict in verdicts for place in range(max(0, verdict - _LABEL_BEFORE), verdict)})


_LABEL_BEFORE = 8
"""The most characters from a label to its Chinese verdict."""
_chinese_words = words("选", "選", "故", "应", "應", "我", "因此", "所以", "请", "最终")
_selection_words = words(*_SELECTIONS)


def _word_before(lower: str, place: int, candidates: tuple[str, ...]) -> list[int]:
    """Return where the word before a place begins if it is one of the candidates."""
    end = place
    while end and lower[end - 1].isspace():
        end -= 1
    if end == place or not lower.endswith(candidates, 0, end):
        return []
    return [end - len(word) for word in candidates if lower.endswith(word, 0, end)]


def _all(lower: str, word: str) -> Iterator[int]:
    place = lower.find(word)
    while place >= 0:
        yield place
        place = lower.find(word, place + 1)
