"""Messages in the OpenAI chat format: validates them, and adds instructions to copies of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from providers.errors import InputError
from providers.messages import JSON, Message

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""A tuple, because a role that is a list or an object, which has no hash, can be searched in it."""
INSTRUCTING = frozenset({"system", "developer"})
INPUT = "{input}"
"""The placeholder of the task's text in a template."""


def check_messages(messages: object) -> Sequence[Message]:
    """Return `messages` as a tuple. Raises InputError with the reason only; the caller adds file and line."""
    if not isinstance(messages, list) or not messages:
        raise InputError("messages must be a list of at least one object with role and content; fix or remove the line")
    for number, message in enumerate(messages, start=1):
        if reason := _fault(message):
            raise InputError(f"message {number} {reason}; fix or remove the line")
    return tuple(messages)


def _fault(message: object) -> str | None:
    if not isinstance(message, dict):
        return "is not an object with role and content"
    role = message.get("role")
    if role not in ROLES:
        return f"has the role {role!r}, which is none of {', '.join(sorted(ROLES))}"
    content = message.get("content")
    if isinstance(content, str) or (content is None and role == "assistant"):
        return None
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return None
    return "has a content that is neither text nor a list of parts"


def with_system(messages: Sequence[Message], text: str) -> Sequence[Message]:
    """Put `text` before the text of the system message, or add a system message at the start."""
    if not messages or messages[0].get("role") not in INSTRUCTING:
        return ({"role": "system", "content": text}, *messages)
    first = messages[0]
    old = first.get("content")
    content: JSON = [{"type": "text", "text": text}, *old] if isinstance(old, list) else f"{text}\n\n{old}"
    return ({**first, "content": content}, *messages[1:])


def with_user_template(
    messages: Sequence[Message], template: str, fill: Callable[[str], str] = str
) -> Sequence[Message]:
    """Insert the last user message into `template`; without a user message, return the messages unchanged.

    `fill` replaces placeholders in the template around the task's text; the text itself is never changed.
    """
    pieces = [fill(piece) for piece in template.split(INPUT)]
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.get("role") == "user":
            wrapped = {**message, "content": _wrap(message.get("content"), pieces)}
            return (*messages[:index], wrapped, *messages[index + 1 :])
    return messages


def text_of(content: JSON) -> str:
    """Return the text of a content: itself, or its text parts joined."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(text for part in parts if (text := _text_of(part)) is not None)


def _wrap(content: JSON, pieces: Sequence[str]) -> JSON:
    if isinstance(content, str):
        return content.join(pieces)
    if isinstance(content, list):
        return _wrap_parts(content, pieces)
    return content


def _wrap_parts(parts: list[JSON], pieces: Sequence[str]) -> list[JSON]:
    """Add the template's text before `{input}` to the first text part and its text after to the last; images keep their position.

    A template without `{input}` replaces the text parts.
    """
    if len(pieces) == 1:
        return [{"type": "text", "text": pieces[0]}, *(part for part in parts if _text_of(part) is None)]
    texts = [index for index, part in enumerate(parts) if _text_of(part) is not None]
    before, after = pieces[0], text_of(parts).join(pieces[1:])
    if not texts:
        return [*parts, {"type": "text", "text": (before + after).strip()}]
    wrapped = list(parts)
    wrapped[texts[0]] = _with_text(wrapped[texts[0]], before, "")
    wrapped[texts[-1]] = _with_text(wrapped[texts[-1]], "", after)
    return wrapped


def _text_of(part: JSON) -> str | None:
    text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
    return text if isinstance(text, str) else None


def _with_text(part: JSON, before: str, after: str) -> JSON:
    assert isinstance(part, Mapping)
    return {**part, "text": f"{before}{part['text']}{after}"}
