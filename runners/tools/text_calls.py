"""Finds tool calls in the text of a reply: between tags, also without the end tag, or as JSON in a fence or alone.

What a model wrote while it was thinking is no call. `call_body.py` reads each call.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from .call_body import ReadCall, read_body, read_json_calls, unfenced

NAME_TAG = "tool_name"
"""Some models write `<tool_name>look</tool_name>` and no other tag."""
_THINKING = re.compile(r"<(/?)think(?:ing)?>")
_LANGUAGE = re.compile(r"[A-Za-z]*+\s*+")


def read_calls(text: str, known: Collection[str], tag: str) -> Sequence[ReadCall]:
    """Read the calls in a text. Without the tag, only calls of known tools count."""
    text = without_thinking(text)
    bodies = [body for _, body in tagged(text, (tag,))]
    return [call for body in bodies for call in read_body(body, known)] if bodies else read_untagged(text, known)


def read_untagged(text: str, known: Collection[str]) -> Sequence[ReadCall]:
    """Read the calls of a text that has no tag of a call: those of known tools in name tags, fences, or JSON alone."""
    _, *bodies = text.split(f"<{NAME_TAG}>")
    named = [call for body in bodies for call in read_body(body, known) if call.name in known]
    if named:
        return named
    blocks = [_LANGUAGE.sub("", block, count=1) for block in text.split("```")[1::2]] or [unfenced(text)]
    written = [call for block in blocks if block.startswith(("{", "[")) for call in read_json_calls(block, known)]
    return written if all(call.name in known for call in written) else []


def without_thinking(text: str) -> str:
    """Remove `<think>` blocks. The start of the first and the end of the last may be missing."""
    kept: list[str] = []
    place, is_thinking = 0, False
    for tag in _THINKING.finditer(text):
        if tag[1]:
            if not is_thinking:
                kept.clear()
            place = tag.end()
        elif not is_thinking:
            kept.append(text[place : tag.start()])
        is_thinking = not tag[1]
    return "".join(kept) if is_thinking else "".join([*kept, text[place:]])


def tagged(text: str, tags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield tag and body, in order. A body ends at its end tag, at the next tag that opens, or with the text."""
    tag, start = "", 0
    for match in _tags(tuple(tags)).finditer(text):
        if tag:
            yield tag, text[start : match.start()]
        tag, start = ("" if match[1] else match[2]), match.end()
    if tag:
        yield tag, text[start:]


@lru_cache(maxsize=64)
def _tags(tags: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"<(/?)({'|'.join(map(re.escape, tags))})(?!\w)[^<>]*>")
