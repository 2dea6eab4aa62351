"""Messages in the OpenAI chat format: checked where they come in, and given instructions without being changed in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from providers.errors import InputError
from providers.messages import JSON, Message

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
INSTRUCTING = frozenset({"system", "developer"})
INPUT = "{input}"
"""What stands for the task's text in a template."""


def check_messages(messages: object) -> Sequence[Message]:
    """Return `messages` as they are, or raise InputError with the reason alone: the caller knows the file and the line."""
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
    if not isinstance(role, str) or role not in ROLES:
        return f"has the role {role!r}, which is none of {', '.join(sorted(ROLES))}"
    content = message.get("content")
    if isinstance(content, str) or (content is None and role == "assistant"):
        return None
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return None
    return "has a content that is neither text nor a list of parts"


def with_system(messages: Sequence[Message], text: str) -> Sequence[Message]:
    """Put `text` before the system message's own text, or in front as a new system message."""
    if not messages or messages[0].get("role") not in INSTRUCTING:
        return ({"role": "system", "content": text}, *messages)
    first = messages[0]
    own = first.get("content")
    content: JSON = [{"type": "text", "text": text}, *own] if isinstance(own, list) else f"{text}\n\n{own}"
    return ({**first, "content": content}, *messages[1:])


def with_user_template(
    messages: Sequence[Message], template: str, fill: Callable[[str], str] = str
) -> Sequence[Message]:
    """Wrap the last user message in `template`; without a user message, leave everything as it is.

    `fill` completes what stands around the task's text; the text itself is never looked into.
    """
    pieces = [fill(piece) for piece in template.split(INPUT)]
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if message.get("role") == "user":
            wrapped = {**message, "content": _wrap(message.get("content"), pieces)}
            return (*messages[:place], wrapped, *messages[place + 1 :])
    return messages


def text_of(content: JSON) -> str:
    """A message's text: itself, or its text parts joined."""
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
    """What the template says before `{input}` goes to the first text part, what it says after to the last; images keep their place."""
    texts = [place for place, part in enumerate(parts) if _text_of(part) is not None]
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
