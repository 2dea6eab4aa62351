"""Prompt types: different prompts for the same task. The shipped ones are files in `prompt_types/`; users can add others.

A template is `{system, user, user_with_plan, step, plan, examples, flaw, like}`, all optional. `{input}` in `user` is replaced by the text
of the task's last user message, `{name}` by a column of the task (variables.py), `{examples}` by a file (few_shot.py), `{plan}`
and `{goal}` by the task's tool plan, or by the plan in the column that `plan` names, to which `flaw` adds a flaw (flaws.py). The goal of a
task is its text where it has no other. `step` is the form of one step (shown_plan.py). The replacement is literal, so that braces in tasks
are safe. `user_with_plan` replaces `user` where the task has a plan. Missing keys are taken from the template that `like` names: a flawed
prompt differs from the optimal one by its flaw only.
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
from providers.messages import Message
from providers.suggestion import suggestion

from ..conversation import INPUT, INSTRUCTING, with_system, with_user_template
from ..tasks.task import Task
from ..tasks.tool_plan import HOW_TO_PLAN, ToolPlan, last_user_text, plan_of
from ..yaml_text import load_yaml
from .few_shot import Examples, ReadRows, load_examples
from .flaws import FLAWS, damage
from .shown_plan import check_step, plan_in, show_plan
from .variables import fill_variables, has_long_latex, show_value, unfilled_columns, variables_in

SHIPPED = Path(__file__).parent / "prompt_types"
KEYS = ("system", "user", "user_with_plan", "step", "plan", "examples", "flaw", "like")
EXAMPLES = "{examples}"
PLAN = re.compile(r"\{(plan|goal)\}")
AS_THE_TASK = "What the task asks for."
"""Stands for the goal where it is the text of the task, which the prompt shows already."""
KEPT = re.compile(r"\{(plan|goal|examples)\}")
"""What is replaced by something else than a column."""


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
    examples: Examples | None = None
    """Examples before the question, as text or as turns."""

    @property
    def digest(self) -> str:
        """A digest of the texts, the flaw and the examples."""
        parts = [self.system, self.user, self.user_with_plan, self.flaw]
        parts += [self.step, self.plan] if self.step or self.plan else []
        parts += [self.examples.digest] if self.examples else []
        parts += [AS_THE_TASK] if self._may_repeat_task else []
        parts += ["all arguments"] if any(map(has_long_latex, self.texts)) else []
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
    def texts(self) -> Sequence[str]:
        """The texts that are set."""
        return [text for text in (self.system, self.user, self.user_with_plan) if text is not None]

    @property
    def needs_task(self) -> bool:
        """Whether a task can lack what this prompt type needs: a plan, a column, or an example."""
        return (
            self.needs_plan or self.examples is not None or any(True for text in self.texts for _ in variables_in(text))
        )

    @property
    def shows_input(self) -> bool:
        """Whether a task needs an input or messages."""
        return (
            self.user is None
            or INPUT in self.user
            or (self.user_with_plan is not None and INPUT in self.user_with_plan)
        )

    @property
    def _may_repeat_task(self) -> bool:
        """Whether the goal is shown beside the task's text."""
        shows_task = any(INPUT in text for text in (self.user, self.user_with_plan) if text is not None)
        return shows_task and any("{goal}" in text for text in self.texts)

    @property
    def _shows_plan(self) -> bool:
        return self.needs_plan or self.user_with_plan is not None

    def notes(self, task: Task) -> Sequence[str]:
        """Return what looks like a variable for a column of a task, and is none."""
        sentences = [sentence for text in self.texts for sentence in unfilled_columns(text, task.columns)]
        return [f"prompt type {self.name}: {sentence}" for sentence in dict.fromkeys(sentences)]

    def apply(self, task: Task) -> Task:
        """Insert the task into the texts. Raises InputError where its plan is missing or does not fit the flaw."""
        if self.system is None and self.user is None and self.user_with_plan is None and self.flaw is None:
            return task if self.examples is None else replace(task, messages=self._with_turns(task.messages, task))
        plan = self.shown_plan(task) if self._shows_plan else None
        user = self.user_with_plan if self.user_with_plan is not None and plan else self.user
        if self.system is None and user is None:
            return task
        fill = self._filling(plan, task, repeats_task=user is not None and INPUT in user)
        messages = task.messages
        if user is not None:
            messages = with_user_template(messages, user, fill)
        if self.examples is not None:
            messages = self._with_turns(messages, task)
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

    def _filling(self, plan: ToolPlan | None, task: Task, *, repeats_task: bool) -> Callable[[str], str]:
        """Build the function that replaces everything but `{input}` in a text. What is filled in is not searched again.

        With `repeats_task`, a goal that is the task's own text is not shown a second time.
        """
        goal = "" if plan is None else AS_THE_TASK if repeats_task and plan.goal == last_user_text(task) else plan.goal
        plan_shown = {} if plan is None else {"plan": show_plan(plan, self.step), "goal": goal}

        def fill(text: str) -> str:
            pieces = KEPT.split(text)
            return "".join(
                fill_variables(piece, lambda variable: show_value(variable, task))
                if number % 2 == 0
                else reserved(piece)
                for number, piece in enumerate(pieces)
            )

        def reserved(name: str) -> str:
            if name == "examples" and self.examples is not None:
                return self.examples.as_text(task)
            return plan_shown.get(name, f"{{{name}}}")

        return fill

    def _with_turns(self, messages: Sequence[Message], task: Task) -> Sequence[Message]:
        """Put examples that are turns after the instructions."""
        if self.examples is None or not self.examples.are_turns:
            return messages
        start = next(
            (place for place, message in enumerate(messages) if message.get("role") not in INSTRUCTING), len(messages)
        )
        return (*messages[:start], *self.examples.as_turns(task), *messages[start:])


PromptSource = Path | Mapping[str, object]
"""A user's prompt type: a YAML file, or the template itself."""


def load_prompt_types(
    names: Sequence[str],
    extra: Mapping[str, PromptSource] | None = None,
    read_rows: ReadRows | None = None,
    base: Path | None = None,
) -> Mapping[str, PromptTemplate]:
    """Load the named prompt types, in that order. A name in `extra` overrides a shipped one. Raises InputError.

    `read_rows` reads the files of examples, whose paths start at `base`.
    """
    sources: dict[str, PromptSource] = {**_shipped(), **(extra or {})}
    loaded: dict[str, PromptTemplate] = {}
    for name in names:
        if name not in sources:
            raise InputError(f'unknown prompt type "{name}"; {suggestion(name, sources)}')
        loaded[name] = _load_template(name, sources, read_rows, base)
    return loaded


def _shipped() -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def _load_template(
    name: str, sources: Mapping[str, PromptSource], read_rows: ReadRows | None, base: Path | None
) -> PromptTemplate:
    where, parts = _read_parts(name, sources[name])
    model = parts.pop("like", None)
    if isinstance(model, str):
        if model not in sources:
            raise InputError(f'{where}: like names the unknown prompt type "{model}"; {suggestion(model, sources)}')
        _, given = _read_parts(model, sources[model])
        if "like" in given:
            raise InputError(f"{where}: like names {model}, which is itself like {given['like']}; name that one")
        parts = {**given, **parts}
    given_examples = parts.pop("examples", None)
    examples = None
    if given_examples is not None and read_rows is not None:
        examples = load_examples(given_examples, where, read_rows, base or Path())
    template = PromptTemplate(name, **parts, examples=examples)  # type: ignore[arg-type]  # texts, as _read_parts has checked
    _check(template, where)
    return template


def _read_parts(name: str, source: PromptSource) -> tuple[str, dict[str, object]]:
    """Return the location of a template, for messages, and its texts."""
    where = f"{source}" if isinstance(source, Path) else f"prompt type {name}"
    template = _read_yaml(source) if isinstance(source, Path) else source
    if not isinstance(template, Mapping):
        raise InputError(f"{where}: a prompt type is a mapping of {', '.join(KEYS)}, all optional")
    for key, text in template.items():
        if key not in KEYS:
            raise InputError(f'{where}: unknown key "{key}"; {suggestion(str(key), KEYS)}')
        if text is not None and not isinstance(text, str) and key != "examples":
            raise InputError(f"{where}: {key} must be text")
    return where, {key: text for key, text in template.items() if text is not None}


def _check(template: PromptTemplate, where: str) -> None:
    for key, user in (("user", template.user), ("user_with_plan", template.user_with_plan)):
        if user is not None and not _shows_column(user, key, where) and INPUT not in user:
            raise InputError(
                f"{where}: {key} must contain {INPUT}, where the task's text goes, or a column such as {{question}}"
            )
    _shows_column(template.system or "", "system", where)
    _check_examples(template, where)
    _check_plan(template, where)


def _check_examples(template: PromptTemplate, where: str) -> None:
    shows_examples = any(EXAMPLES in text for text in template.texts)
    if shows_examples and template.examples is None:
        raise InputError(f"{where}: shows {EXAMPLES} and has none; add examples: {{path: dev.jsonl, user: …}}")
    if template.examples is not None and shows_examples == template.examples.are_turns:
        remedy = (
            "leave out either assistant or {examples}"
            if shows_examples
            else f"put {EXAMPLES} into user, or give assistant to send turns"
        )
        raise InputError(f"{where}: examples are shown {'twice' if shows_examples else 'nowhere'}; {remedy}")


def _check_plan(template: PromptTemplate, where: str) -> None:
    if template.flaw is not None and template.flaw not in FLAWS:
        raise InputError(f'{where}: unknown flaw "{template.flaw}"; {suggestion(template.flaw, FLAWS)}')
    if template.step is not None:
        check_step(template.step, where)
    needing = next((key for key in ("flaw", "plan", "step") if getattr(template, key) is not None), None)
    if needing and not any(PLAN.search(text) for text in template.texts):
        name = "a flaw" if needing == "flaw" else needing
        raise InputError(f"{where}: {name} needs a plan; put {{plan}} or {{goal}} into user_with_plan or system")


def _shows_column(text: str, key: str, where: str) -> bool:
    """Return whether a text shows a column. Raises InputError for an unknown form."""
    try:
        return any(True for _ in variables_in(text))
    except InputError as error:
        raise InputError(f"{where}: {key}: {error}") from error


def _read_yaml(path: Path) -> object:
    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path of the prompt type") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not valid YAML ({reason})") from error
