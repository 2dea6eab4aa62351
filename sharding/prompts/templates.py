"""Prompt types: different prompts for the same task. The shipped ones are files in `prompt_types/`; users can add others.

A template is `{system, user, user_with_plan, step, plan, flaw, like}`, all optional. `{input}` in `user` is replaced by the text of the
task's last user message, `{plan}` and `{goal}` by the task's tool plan, or by the plan in the column that `plan` names, to which `flaw`
adds a flaw (flaws.py). `step` is the form of one step (shown_plan.py). The replacement is literal, so that braces in tasks are safe.
`user_with_plan` replaces `user` where the task has a plan. Missing keys are taken from the template that `like` names: a flawed prompt
differs from the optimal one by its flaw only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import yaml

from providers.errors import InputError
from providers.suggestion import suggestion

from ..conversation import INPUT, with_system, with_user_template
from ..tasks.task import Task
from ..tasks.tool_plan import HOW_TO_PLAN, ToolPlan, plan_of
from .flaws import FLAWS, damage
from .shown_plan import check_step, plan_in, show_plan

SHIPPED = Path(__file__).parent / "prompt_types"
KEYS = ("system", "user", "user_with_plan", "step", "plan", "flaw", "like")
PLAN = re.compile(r"\{(plan|goal)\}")


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt type made of texts. Without texts it leaves tasks unchanged."""

    name: str
    system: str | None = None
    """Text before the system message's text, or of a new system message."""
    user: str | None = None
    user_with_plan: str | None = None
    """Replaces `user` for tasks that have a plan."""
    flaw: str | None = None
    """The flaw that is added to the plan."""
    step: str | None = None
    """The form of one step of `{plan}`; None: a numbered list of calls with their descriptions."""
    plan: str | None = None
    """The column that holds the plan, such as a flawed one, in place of the task's own."""

    @property
    def digest(self) -> str:
        """A digest of the texts and the flaw."""
        parts = [self.system, self.user, self.user_with_plan, self.flaw]
        parts += [self.step, self.plan] if self.step or self.plan else []
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]

    @property
    def needs_plan(self) -> bool:
        """Whether a flaw, a column with a plan, `system` or `user` needs a plan."""
        return (
            self.flaw is not None
            or self.plan is not None
            or any(PLAN.search(text) for text in (self.system, self.user) if text)
        )

    @property
    def _shows_plan(self) -> bool:
        return self.needs_plan or self.user_with_plan is not None

    def apply(self, task: Task) -> Task:
        """Insert the task into the texts. Raises InputError where its plan is missing or does not fit the flaw."""
        if self.system is None and self.user is None and self.user_with_plan is None and self.flaw is None:
            return task
        plan = self.shown_plan(task) if self._shows_plan else None
        user = self.user_with_plan if self.user_with_plan is not None and plan else self.user
        if self.system is None and user is None:
            return task
        fill = _filling(plan, self.step)
        messages = task.messages
        if user is not None:
            messages = with_user_template(messages, user, fill)
        if self.system is not None:
            messages = with_system(messages, fill(self.system))
        return replace(task, messages=messages)

    def shown_plan(self, task: Task) -> ToolPlan | None:
        """Return the plan with its flaw. Raises InputError where a required plan is missing, or the flaw does not apply to it."""
        plan = plan_of(task) if self.plan is None else plan_in(task, self.plan)
        if plan is None:
            if self.needs_plan:
                raise InputError(
                    f"task {task.task_id} has no tool plan, which the prompt type {self.name} shows; {HOW_TO_PLAN}"
                )
            return None
        try:
            return damage(plan, self.flaw, task) if self.flaw else plan
        except InputError as error:
            raise InputError(
                f"task {task.task_id} cannot be used with the prompt type {self.name}: {error}; exclude it with task_types"
            ) from error


def _filling(plan: ToolPlan | None, step: str | None) -> Callable[[str], str]:
    """Build the function that replaces `{plan}` and `{goal}` in a template."""
    if plan is None:
        return str
    shown = {"plan": str(plan) if step is None else show_plan(plan, step), "goal": plan.goal}
    return lambda text: PLAN.sub(lambda match: shown[match.group(1)], text)


PromptSource = Path | Mapping[str, object]
"""A user's prompt type: a YAML file, or the template itself."""


def load_prompt_types(
    names: Sequence[str], extra: Mapping[str, PromptSource] | None = None
) -> Mapping[str, PromptTemplate]:
    """Load the named prompt types, in that order. A name in `extra` overrides a shipped one. Raises InputError."""
    sources: dict[str, PromptSource] = {**_shipped(), **(extra or {})}
    loaded: dict[str, PromptTemplate] = {}
    for name in names:
        if name not in sources:
            raise InputError(f'unknown prompt type "{name}"; {suggestion(name, sources)}')
        loaded[name] = _load_template(name, sources)
    return loaded


def _shipped() -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def _load_template(name: str, sources: Mapping[str, PromptSource]) -> PromptTemplate:
    where, parts = _read_parts(name, sources[name])
    model = parts.pop("like", None)
    if model is not None:
        if model not in sources:
            raise InputError(f'{where}: like names the unknown prompt type "{model}"; {suggestion(model, sources)}')
        _, given = _read_parts(model, sources[model])
        if "like" in given:
            raise InputError(f"{where}: like names {model}, which is itself like {given['like']}; name that one")
        parts = {**given, **parts}
    template = PromptTemplate(name, **parts)
    _check(template, where)
    return template


def _read_parts(name: str, source: PromptSource) -> tuple[str, dict[str, str]]:
    """Return the location of a template, for messages, and its texts."""
    where = f"{source}" if isinstance(source, Path) else f"prompt type {name}"
    template = _read_yaml(source) if isinstance(source, Path) else source
    if not isinstance(template, Mapping):
        raise InputError(f"{where}: a prompt type is a mapping of {', '.join(KEYS)}, all optional")
    for key, text in template.items():
        if key not in KEYS:
            raise InputError(f'{where}: unknown key "{key}"; {suggestion(str(key), KEYS)}')
        if text is not None and not isinstance(text, str):
            raise InputError(f"{where}: {key} must be text")
    return where, {key: text for key, text in template.items() if text is not None}


def _check(template: PromptTemplate, where: str) -> None:
    for key, user in (("user", template.user), ("user_with_plan", template.user_with_plan)):
        if user is not None and INPUT not in user:
            raise InputError(f"{where}: {key} must contain {INPUT}, where the task's text goes")
    if template.flaw is not None and template.flaw not in FLAWS:
        raise InputError(f'{where}: unknown flaw "{template.flaw}"; {suggestion(template.flaw, FLAWS)}')
    if template.step is not None:
        check_step(template.step, where)
    needing = next((key for key in ("flaw", "plan", "step") if getattr(template, key) is not None), None)
    texts = (template.system, template.user_with_plan, template.user)
    if needing and not any(PLAN.search(text) for text in texts if text):
        name = "a flaw" if needing == "flaw" else needing
        raise InputError(f"{where}: {name} needs a plan; put {{plan}} or {{goal}} into user_with_plan or system")


def _read_yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path of the prompt type") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not valid YAML ({reason})") from error
