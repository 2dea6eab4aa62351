"""Prompt types: the ways to ask the same task. Each shipped one is a file in `prompt_types/`; people add their own.

A template is `{system: text?, user: text?}`; `{input}` in `user` stands for the text of the task's last user message and is replaced as
it is, so that braces in tasks are safe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import orjson
import yaml

from providers.errors import InputError
from providers.suggestion import suggestion

from .conversation import INPUT, with_system, with_user_template
from .task import Task

SHIPPED = Path(__file__).parent / "prompt_types"
KEYS = ("system", "user")


class PromptType(Protocol):
    """Anything that turns a task into the way it is asked."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """Short; changes whenever `apply` would give something else."""
        ...

    def apply(self, task: Task) -> Task:
        """A pure function; the task's id, target and tools stay comparable."""
        ...


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt type made of text. With neither part, it leaves tasks as they are."""

    name: str
    system: str | None = None
    """Put before a system message's own text, or in front as a new one."""
    user: str | None = None

    @property
    def digest(self) -> str:
        return hashlib.sha256(orjson.dumps([self.system, self.user])).hexdigest()[:16]

    def apply(self, task: Task) -> Task:
        if self.system is None and self.user is None:
            return task
        messages = task.messages
        if self.user is not None:
            messages = with_user_template(messages, self.user)
        if self.system is not None:
            messages = with_system(messages, self.system)
        return replace(task, messages=messages)


PromptSource = Path | Mapping[str, object]
"""Where a user's own prompt type stands: a YAML file, or the template itself."""


def load_prompt_types(
    names: Sequence[str], extra: Mapping[str, PromptSource] | None = None
) -> Mapping[str, PromptType]:
    """Load the prompt types that are asked for, in that order. A name in `extra` wins over a shipped one. Raises InputError."""
    sources: dict[str, PromptSource] = {**_shipped(), **(extra or {})}
    loaded: dict[str, PromptType] = {}
    for name in names:
        if name not in sources:
            raise InputError(f'unknown prompt type "{name}"; {suggestion(name, sources)}')
        loaded[name] = _load_template(name, sources[name])
    return loaded


def _shipped() -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def _load_template(name: str, source: PromptSource) -> PromptTemplate:
    where = f"{source}" if isinstance(source, Path) else f"prompt type {name}"
    template = _read_yaml(source) if isinstance(source, Path) else source
    if not isinstance(template, Mapping):
        raise InputError(f"{where}: a prompt type is a mapping of system and user, both optional")
    for key, text in template.items():
        if key not in KEYS:
            raise InputError(f'{where}: unknown key "{key}"; {suggestion(str(key), KEYS)}')
        if text is not None and not isinstance(text, str):
            raise InputError(f"{where}: {key} must be text")
    user = template.get("user")
    if user is not None and INPUT not in user:
        raise InputError(f"{where}: user must contain {INPUT}, where the task's text goes")
    return PromptTemplate(name, template.get("system"), user)


def _read_yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path of the prompt type") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not valid YAML ({reason})") from error
